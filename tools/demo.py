"""The main job, end to end, on this machine: render photos, upload them, wait for their rows, show them, clean up.

Azurite and the dev host are started for the demo alone, on ports of their own, and stopped at its end.
"""

from __future__ import annotations

import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from storage import keys
from storage.clients import Clients, connect
from storage.connection import Connection
from storage.results.record import Image, Record, Status
from storage.results.store import Results
from storage.settings import APP_ROOT, DEFAULTS
from tools.azurite.azurite import running
from tools.devhost import process
from tools.sample_photos.contact_sheet import Tile, contact_sheet
from tools.sample_photos.samples import Sample, render_samples

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

HOME = APP_ROOT / ".demo"
_INCOMING = DEFAULTS["INCOMING_CONTAINER"]
_DEADLINE_SECONDS = 120.0
_POLL_SECONDS = 0.2


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--picture", type=Path, metavar="FILE", help="also draw the samples and their answers as a PNG")
    parser.epilog = "example:\n  python -m tools demo --picture demo.png"


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 only if every sample ended as it should."""
    talk = Console(stderr=True)
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    with ThreadPoolExecutor(1) as pool:
        rendering = pool.submit(render_samples)
        talk.print("Starting Azurite and the dev host, rendering sample photos ...", highlight=False)
        with running(in_memory=True) as azurite:
            clients = connect(Connection("ImageStorage", connection_string=azurite.connection_string))
            with _host(azurite.connection_string):
                samples = rendering.result()
                _upload(clients, samples)
                talk.print(f"Uploaded {len(samples)} files to the container {_INCOMING!r}.", highlight=False)
                records = _wait_for_rows(clients, samples)
            _save_sidecars(clients, records)
    if args.picture:
        _draw(args.picture, samples, records)
    return _show(samples, records)


@contextmanager
def _host(connection_string: str) -> Iterator[None]:
    """Run the dev host in a process of its own. It logs into ``.demo/host.log``."""
    with (HOME / "host.log").open("wb") as log:
        host = process.start(process.environment(connection_string), log)
        try:
            yield
        finally:
            process.stop(host)


def _upload(clients: Clients, samples: list[Sample]) -> None:
    container = clients.blobs.get_container_client(_INCOMING)
    if not container.exists():
        container.create_container()
    for sample in samples:
        container.upload_blob(sample.name, sample.content, overwrite=True)


def _wait_for_rows(clients: Clients, samples: list[Sample]) -> dict[str, Record]:
    """Read rows until every sample has one, or the deadline passes; by sample name."""
    results = Results(clients, table=DEFAULTS["RESULTS_TABLE"], container=DEFAULTS["RESULTS_CONTAINER"])
    records: dict[str, Record] = {}
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while len(records) < len(samples) and time.monotonic() < deadline:
        for sample in samples:
            if sample.name not in records:
                row = results.read_row(Image(_INCOMING, sample.name))
                if row is None or row.record is None:
                    break  # rows come in about the order of the uploads: look again soon
                records[sample.name] = row.record
        else:
            continue
        time.sleep(_POLL_SECONDS)
    return records


def _save_sidecars(clients: Clients, records: dict[str, Record]) -> None:
    """Keep a copy of each sidecar, since Azurite's storage ends with the demo."""
    for name, record in records.items():
        container, _, blob = record.sidecar.partition("/")
        target = _inside(HOME / container, keys.sidecar_name(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(clients.blobs.get_blob_client(container, blob).download_blob().readall())


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{name!r} leads out of {folder}")
    return path


def _draw(picture: Path, samples: list[Sample], records: dict[str, Record]) -> None:
    tiles = []
    for sample in samples:
        record = records.get(sample.name)
        if record is None:
            tiles.append(Tile(sample.content, "missing", sample.name, is_problem=True))
        elif record.score is None:
            tiles.append(Tile(sample.content, str(record.reason), sample.name, is_problem=True))
        else:
            tiles.append(Tile(sample.content, f"{record.label} {record.score:.2f}", sample.name, is_problem=False))
    contact_sheet(tiles).save(picture, optimize=True)


def _show(samples: list[Sample], records: dict[str, Record]) -> int:
    """Print one line per sample; 1 if any is not what it should be."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("image", "status", "label"):
        table.add_column(heading, no_wrap=True)
    for heading in ("score", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    wrong: list[str] = []
    for sample in samples:
        record = records.get(sample.name)
        if record is None:
            wrong.append(f"{sample.name}: no row after {_DEADLINE_SECONDS:.0f} s")
            table.add_row(sample.name, "missing", "", "", "")
            continue
        if (record.status, record.label, record.reason) != (sample.status, sample.label, sample.reason):
            wrong.append(
                f"{sample.name}: {record.status} {record.label or record.reason}, "
                f"but should be {sample.status} {sample.label or sample.reason}"
            )
        good = record.status is Status.CLASSIFIED
        table.add_row(
            sample.name,
            f"[green]{record.status}[/]" if good else f"[yellow]{record.status}[/]",
            record.label if good else f"({record.reason})",
            f"{record.score:.3f}" if record.score is not None else "",
            str(record.duration_ms),
        )
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    console.print(
        f"\n{len(records) - len(wrong)} of {len(samples)} as expected. Each row has a sidecar in the container "
        f"{DEFAULTS['RESULTS_CONTAINER']!r}: copies are in .demo/{DEFAULTS['RESULTS_CONTAINER']}/, the host's log in "
        ".demo/host.log.",
        highlight=False,
        soft_wrap=True,
    )
    for line in wrong:
        print(f"WRONG {line}", file=sys.stderr)
    return 1 if wrong else 0
