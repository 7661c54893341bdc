"""``bench``: what this app costs on this machine, and how far that is from what is possible. Only the ratios travel.

Everything that is compared is measured in the same run and in turns, each contestant in a process of its own; trials
that other programs or other machines of the host disturbed do not count. docs/performance.md tells the method.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from inference.errors import ConfigurationError
from inference.resources.cpus import usable_cpus
from storage.settings import APP_ROOT
from tools.azurite.azurite import running
from tools.bench import benchmarks, machine, startup
from tools.bench.comparison import compared, read_kept
from tools.bench.emulator import fill
from tools.bench.networks import ARCHITECTURES, model_folder
from tools.bench.photos import KINDS, photos
from tools.bench.plot import write_plot
from tools.bench.ratios import DUPLICATE_GOAL, REQUESTS_GOAL, START_GOAL, Ratio, ratios
from tools.bench.result import Result
from tools.bench.runner import Figure, band, run_rounds
from tools.bench.storage_names import INCOMING, RESULTS, TABLE
from tools.bench.tables import show
from tools.bench.worker_process import Facts, Lane, opened

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

_STDOUT = "-"
_CACHE = APP_ROOT / ".cache" / "bench"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    named = "\n".join(f"  {name:<10} {said}" for name, said in benchmarks.SECTIONS.items())
    parser.add_argument(
        "--short",
        action="store_true",
        help=f"fewer and shorter trials, of {', '.join(benchmarks.SHORT_SECTIONS)}: a minute, for CI",
    )
    parser.add_argument(
        "--only", nargs="+", choices=benchmarks.SECTIONS, metavar="NAME", help="only these parts, by the names below"
    )
    parser.add_argument("--compare", type=Path, metavar="FILE", help="show the difference to a run kept with --json")
    parser.add_argument(
        "--json",
        nargs="?",
        const=_STDOUT,
        metavar="FILE",
        help="write figures and ratios to a file beside the tables, or to stdout instead of them",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the rates as an SVG picture (needs: jpeg)")
    parser.add_argument(
        "--torch-python",
        type=Path,
        metavar="FILE",
        help="a Python that has torch and numpy, to measure PyTorch eager with (default: this one, if it has)",
    )
    parser.epilog = (
        f"parts:\n{named}\n\n"
        "It never fails on time: exit 0 whatever the figures are. Only ratios of one run mean anything elsewhere.\n\n"
        "example:\n  python -m tools bench --only jpeg function --compare benchmarks/0.1.0.json"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, tell, keep."""
    kept = read_kept(args.compare) if args.compare else None
    sections = args.only or list(benchmarks.SHORT_SECTIONS if args.short else benchmarks.SECTIONS)
    if args.plot and "jpeg" not in sections:
        raise ConfigurationError("--plot draws the rates of the part jpeg: leave --only out, or add jpeg to it.")
    talk = Console(stderr=True)
    result = measure(sections, benchmarks.SHORT if args.short else benchmarks.WHOLE, _python_with_torch(args), talk)
    document = result.to_json()
    if args.json == _STDOUT:
        print(json.dumps(document, indent=1))
    else:
        show(Console(), result)
        if args.json:
            Path(args.json).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if args.plot:
        write_plot(args.plot, document)
    if kept:
        Console(stderr=args.json == _STDOUT).print(compared(kept, result))
    return 0


def measure(sections: list[str], extent: benchmarks.Extent, torch_python: Path | None, talk: Console) -> Result:
    """Run the programme of some sections."""
    cpus = usable_cpus()
    started = datetime.now(UTC)
    with talk.status("") as status:

        def tell(said: str) -> None:
            status.update(f"bench: {said}")

        _prepare(sections, tell)
        planned = benchmarks.programme(sections, extent, cpus, torch=torch_python is not None)
        requests: dict[str, list[str]] = {}
        figures: dict[str, Figure] = {}
        if planned:
            with _lanes(planned, extent, cpus, torch_python, tell) as (lanes, beside):
                if "app" in lanes:
                    requests = lanes["app"].ask("requests", photo="0.3 MP").more
                    more = {"threads": lanes["app"].ask("threads").images, "requests": requests["fresh"]}
                    for contest in planned:
                        if contest.lane == "sdk":
                            contest.arguments.update(more)
                figures = run_rounds(planned, lanes, extent, beside=beside, tell=tell)
        imported: list[startup.Imports] = []
        if "start" in sections:
            figures |= startup.starts(_CACHE, extent.starts, tell)
            imported = startup.imports(_CACHE)
    found = ratios(figures, cpus)
    if startup.APP in figures:
        found.append(_start_ratio(figures))
    if requests:
        counts = (("fresh", REQUESTS_GOAL), ("duplicate", DUPLICATE_GOAL))
        found += [_requests_ratio(name, len(requests[name]), goal) for name, goal in counts]
    seconds = (datetime.now(UTC) - started).total_seconds()
    return Result(started, seconds, machine.described(), figures, found, requests, imported)


def _python_with_torch(args: argparse.Namespace) -> Path | None:
    if args.torch_python:
        if not args.torch_python.is_file():
            raise ConfigurationError(f"There is no Python at {args.torch_python}.")
        return Path(args.torch_python)
    return Path(sys.executable) if importlib.util.find_spec("torch") else None


def _prepare(sections: list[str], tell: Callable[[str], None]) -> None:
    """Make what is measured with, before any clock runs."""
    for kind in KINDS.values():
        if not benchmarks.using(kind.name).isdisjoint(sections):
            tell(f"rendering photos, once: {kind.name}")
            photos(kind, _CACHE)
    for network in ARCHITECTURES:
        tell(f"building the network, once: {network}")
        model_folder(network, _CACHE)


@contextmanager
def _lanes(
    planned: list[benchmarks.Contest],
    extent: benchmarks.Extent,
    cpus: int,
    torch_python: Path | None,
    tell: Callable[[str], None],
) -> Iterator[tuple[dict[str, Lane], list[int]]]:
    """Open the lanes that are needed, and the emulator if one of them is."""
    names = dict.fromkeys(contest.lane for contest in planned)
    beside: list[int] = []
    with ExitStack() as stack:
        facts = Facts(str(_CACHE), cpus)
        if {"app", "sdk", "backfill"} & names.keys():
            tell("starting the emulator and uploading photos")
            emulator = stack.enter_context(running(in_memory=True))
            beside.append(emulator.process_id)
            facts = Facts(str(_CACHE), cpus, emulator.connection_string, extent.uploads)
            fill(emulator.connection_string, _CACHE, extent.uploads)
        environ = {
            "ImageStorage": facts.connection_string,
            "AzureWebJobsStorage": facts.connection_string,
            "INCOMING_CONTAINER": INCOMING,
            "RESULTS_CONTAINER": RESULTS,
            "RESULTS_TABLE": TABLE,
            "MODEL_DIR": str(model_folder("MobileNetV2", _CACHE)),
            "MODEL_BLOB": "",
        }
        lanes = {}
        for name in names:
            python = str(torch_python) if name == "torch" else sys.executable
            lanes[name] = stack.enter_context(opened(name, facts, python=python, environ=environ))
        yield lanes, beside


def _start_ratio(figures: dict[str, Figure]) -> Ratio:
    def value(each: Any) -> float:
        return float(each[startup.BARE].images_per_s / each[startup.APP].images_per_s)

    low, high = band(value, figures)
    name = f"start to first image ({benchmarks.FIRST_PHOTO}) / bare imports and session"
    return Ratio(name, value(figures), low, high, START_GOAL, more_is_better=False)


def _requests_ratio(name: str, count: int, goal: int) -> Ratio:
    return Ratio(f"storage requests of a {name} upload", count, count, count, goal, more_is_better=False)
