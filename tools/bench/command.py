"""``python -m tools bench``: measures the app against baselines on this machine. Only ratios are comparable elsewhere.

All that is compared is measured in the same run and in turns, in worker processes. docs/performance.md describes the
method.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from inference.errors import ConfigurationError
from inference.resources.cpus import usable_cpus
from storage.settings import APP_ROOT
from tools.azurite.azurite import running
from tools.bench import benchmarks, machine, real_host, startup
from tools.bench.inputs.emulator import CONNECTION, INCOMING, RESULTS, TABLE, fill
from tools.bench.inputs.networks import DEFAULT_NETWORK, NETWORKS, model_folder
from tools.bench.inputs.photos import KINDS, photos
from tools.bench.ratios import ratios
from tools.bench.result import Result, read_kept
from tools.bench.runner import run_rounds
from tools.bench.tables import comparison, plot, show
from tools.bench.workers.process import WorkerProcess, start_worker
from tools.devhost.invoker import worker_threads

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from tools.bench.runner import Figure

_STDOUT = "-"
_WIDTH = 120  # columns of tables in a file or pipe
_CACHE = APP_ROOT / ".cache" / "bench"
_ON_STORAGE = {"function_path", "bare_sdk", "backfill"}  # workers that need the emulator


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    sections = "\n".join(f"  {name:<10} {summary}" for name, summary in benchmarks.SECTIONS.items())
    parser.add_argument(
        "--short",
        action="store_true",
        help=f"run fewer and shorter trials, of {', '.join(benchmarks.SHORT_SECTIONS)}: a minute, for CI",
    )
    parser.add_argument(
        "--only", nargs="+", choices=benchmarks.SECTIONS, metavar="PART", help="measure these parts only"
    )
    parser.add_argument("--compare", type=Path, metavar="FILE", help="compare the ratios with a run kept by --json")
    parser.add_argument(
        "--json",
        nargs="?",
        const=_STDOUT,
        metavar="FILE",
        help="also write the result to FILE as JSON; without FILE, to stdout instead of the tables",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the rates as an SVG picture (needs part jpeg)")
    parser.add_argument(
        "--torch-python",
        type=Path,
        metavar="FILE",
        help="measure PyTorch eager with this Python, which has torch and numpy (default: this one, if it has torch)",
    )
    parser.epilog = (
        f"parts:\n{sections}\n\n"
        "Exit 0 with any figures. Only ratios of one run are comparable between machines.\n\n"
        "example:\n  python -m tools bench --only jpeg function --compare benchmarks/0.1.0.json"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print and keep the result."""
    kept = read_kept(args.compare) if args.compare else None
    sections = args.only or list(benchmarks.SHORT_SECTIONS if args.short else benchmarks.SECTIONS)
    if args.plot and "jpeg" not in sections:
        raise ConfigurationError("--plot draws the rates of the part jpeg: add jpeg to --only, or leave --only out.")
    effort = benchmarks.SHORT if args.short else benchmarks.FULL
    result = measure(sections, effort, _python_with_torch(args.torch_python), Console(stderr=True))
    document = result.to_json()
    stream = sys.stderr if args.json == _STDOUT else sys.stdout
    console = Console(file=stream, width=None if stream.isatty() else _WIDTH)
    if args.json == _STDOUT:
        print(json.dumps(document, indent=1))
    else:
        show(console, result)
        if args.json:
            Path(args.json).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if args.plot:
        args.plot.write_text(plot(document), encoding="utf-8")
    if kept:
        console.print(comparison(kept, result))
    return 0


def measure(sections: list[str], effort: benchmarks.Effort, torch_python: Path | None, console: Console) -> Result:
    """Measure some sections.

    Args:
        sections: Names of ``benchmarks.SECTIONS``.
        effort: How much to measure.
        torch_python: An interpreter with torch, if PyTorch eager is to be measured.
        console: Shows the progress.
    """
    cpus = usable_cpus()
    started = datetime.now(UTC)
    figures: dict[str, Figure] = {}
    requests: dict[str, list[str]] = {}
    imports: list[startup.Imports] = []
    if "host" in sections and (sentence := real_host.missing_program()):
        console.print(f"The part host is left out. {sentence}", highlight=False)
        sections = [section for section in sections if section != "host"]
    with console.status("") as status:

        def report(message: str) -> None:
            status.update(f"bench: {message}")

        _prepare_inputs(sections, report)
        if planned := benchmarks.plan(sections, effort, cpus, with_torch=torch_python is not None):
            with _workers(planned, effort, torch_python, report) as (workers, emulator_ids):
                if "function_path" in workers:
                    requests = workers["function_path"].call("requests", photo="0.3 MP").extra
                    for benchmark in planned:
                        if benchmark.worker == "bare_sdk":
                            benchmark.arguments.update(threads=worker_threads(os.environ), requests=requests["fresh"])
                figures = run_rounds(planned, workers, effort, other_process_ids=emulator_ids, report=report)
        if "host" in sections:
            figures |= real_host.measure_host(effort, _CACHE, lambda account: settings(account, _CACHE), report)
        if "start" in sections:
            figures |= startup.measure_starts(_CACHE, effort.starts, report)
            imports = startup.measure_imports(_CACHE)
    seconds = (datetime.now(UTC) - started).total_seconds()
    found = ratios(figures, requests, cpus)
    return Result(started, seconds, machine.description(), figures, found, requests, imports)


def _python_with_torch(requested: Path | None) -> Path | None:
    if requested and not requested.is_file():
        raise ConfigurationError(f"There is no Python at {requested}.")
    return requested or (Path(sys.executable) if importlib.util.find_spec("torch") else None)


def _prepare_inputs(sections: list[str], report: Callable[[str], None]) -> None:
    for kind in KINDS.values():
        if not benchmarks.sections_using(kind.name).isdisjoint(sections):
            report(f"rendering photos, once: {kind.name}")
            photos(kind, _CACHE)
    for network in NETWORKS:
        report(f"building the network, once: {network}")
        model_folder(network, _CACHE)


@contextmanager
def _workers(
    planned: list[benchmarks.Benchmark],
    effort: benchmarks.Effort,
    torch_python: Path | None,
    report: Callable[[str], None],
) -> Iterator[tuple[dict[str, WorkerProcess], list[int]]]:
    """Start the worker processes that a plan needs, and the emulator if one of them needs it.

    Yields:
        The workers by name, and the ids of the emulator's processes.
    """
    names = dict.fromkeys(benchmark.worker for benchmark in planned)
    emulator_ids: list[int] = []
    connection_string = ""
    with ExitStack() as stack:
        if _ON_STORAGE & names.keys():
            report("starting the emulator and uploading photos")
            emulator = stack.enter_context(running(in_memory=True))
            emulator_ids.append(emulator.process_id)
            connection_string = emulator.connection_string
            fill(connection_string, _CACHE, effort.uploads)
        environ = settings(connection_string, _CACHE)
        pythons = {"pytorch": str(torch_python)}
        workers = {
            name: stack.enter_context(
                start_worker(name, _CACHE, python=pythons.get(name, sys.executable), environ=environ)
            )
            for name in names
        }
        yield workers, emulator_ids


def settings(connection_string: str, cache: Path) -> dict[str, str]:
    """Return the app settings for a worker process: the emulator and the default network."""
    return {
        CONNECTION: connection_string,
        "AzureWebJobsStorage": connection_string,
        "INCOMING_CONTAINER": INCOMING,
        "RESULTS_CONTAINER": RESULTS,
        "RESULTS_TABLE": TABLE,
        "MODEL_DIR": str(model_folder(DEFAULT_NETWORK, cache)),
        "MODEL_BLOB": "",
    }
