"""The main job, end to end, on this machine: render or read photos, upload them, wait for their rows, show them.

Azurite and the dev host are started for the demo alone, on ports of their own, and stopped at its end.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from inference.errors import ConfigurationError
from inference.model.folder import load_model
from storage import keys
from storage.clients import Clients, connect
from storage.connection import Connection
from storage.results.record import Image, Record, Status
from storage.results.store import Results
from storage.settings import APP_ROOT, DEFAULTS
from tools.azurite.azurite import running
from tools.devhost import process
from tools.model.add import add_published
from tools.sample_photos.contact_sheet import Tile, contact_sheet
from tools.sample_photos.samples import render_samples
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

HOME = APP_ROOT / ".demo"
_DOWNLOADED = APP_ROOT / ".cache" / "models"
_INCOMING = DEFAULTS["INCOMING_CONTAINER"]
_MAX_PHOTOS = 100
_DEADLINE_SECONDS = 120.0
_POLL_SECONDS = 0.2


class Upload(NamedTuple):
    """One file of the demo.

    Attributes:
        name: Blob name with folders.
        read: Returns the file's bytes.
        expected: Its status, label and reason; ``None`` where every result is right.
    """

    name: str
    read: Callable[[], bytes]
    expected: tuple[str, str | None, str | None] | None


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--picture", type=Path, metavar="FILE", help="also draw the samples and their answers as a PNG")
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help=f"your own photos instead of the samples, at most {_MAX_PHOTOS}"
    )
    parser.add_argument(
        "--model", metavar="NAME|DIR", help="a published model, which is downloaded once, or a model folder"
    )
    parser.epilog = (
        "Exit 0: every sample has the expected result, and every photo of yours has a result. 1: not so.\n\n"
        "example:\n  python -m tools demo --model efficientnet-lite0 --photos ~/Pictures"
    )


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 only if every upload ended as it should."""
    talk = Console(stderr=True)
    photos = None if args.photos is None else _own_photos(args.photos, talk)
    model = None if args.model is None else _model_folder(args.model)
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    with ThreadPoolExecutor(1) as pool:
        preparing = pool.submit(lambda: photos or _sample_photos(own_model=model is not None))
        doing = "rendering sample photos ..." if photos is None else "reading your photos ..."
        talk.print(f"Starting Azurite and the dev host, {doing}", highlight=False)
        with running(in_memory=True) as azurite:
            clients = connect(Connection("ImageStorage", connection_string=azurite.connection_string))
            with _host(azurite.connection_string, model):
                uploads = preparing.result()
                _upload(clients, uploads)
                talk.print(f"Uploaded {len(uploads)} files to the container {_INCOMING!r}.", highlight=False)
                records = _wait_for_rows(clients, uploads)
            _save_sidecars(clients, records)
    if args.picture:
        _draw(args.picture, uploads, records)
    return _show(uploads, records)


def _sample_photos(*, own_model: bool) -> list[Upload]:
    """Render the samples. A model of the user has other labels than theirs."""
    return [
        Upload(
            sample.name,
            partial(bytes, sample.content),
            None if own_model and sample.label is not None else (sample.status, sample.label, sample.reason),
        )
        for sample in render_samples()
    ]


def _own_photos(folder: Path, talk: Console) -> list[Upload]:
    """List the files in a folder and in the folders below it, in path order, without hidden ones.

    Raises:
        ConfigurationError: There is none.
    """
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not paths:
        raise ConfigurationError(f"{folder} holds no files: name a folder with your photos.")
    if len(paths) > _MAX_PHOTOS:
        talk.print(f"Taking the first {_MAX_PHOTOS} of {len(paths):,} files; `backfill` is for more.", highlight=False)
    return [Upload(_blob_name(path.relative_to(folder)), path.read_bytes, None) for path in paths[:_MAX_PHOTOS]]


def _blob_name(path: Path) -> str:
    """Return a path as a blob's name: UTF-8 without control characters; storage takes a backslash for a slash."""
    name = os.fsencode(path.as_posix()).decode(errors="replace").replace("\\", "/")
    return "".join(char if char.isprintable() else "_" for char in name)


def _model_folder(stated: str) -> Path:
    """Return the folder of a model; a published one is downloaded into ``.cache`` if it is not there.

    Raises:
        ModelError: The model cannot be used.
        ConfigurationError: It is neither a folder nor a published model, or it cannot be downloaded.
    """
    places = (Path(stated), APP_ROOT / "models" / stated, _DOWNLOADED / stated)
    folder = next((place for place in places if place.is_dir()), None) or add_published(stated, _DOWNLOADED)
    load_model(folder)  # refuses before anything starts
    return folder.resolve()


@contextmanager
def _host(connection_string: str, model: Path | None) -> Iterator[None]:
    """Run the dev host in a process of its own. It logs into ``.demo/host.log``."""
    settings = {} if model is None else {"MODEL_DIR": str(model)}
    with (HOME / "host.log").open("wb") as log:
        host = process.start(process.environment(connection_string, **settings), log)
        try:
            yield
        finally:
            process.stop(host)


def _upload(clients: Clients, uploads: list[Upload]) -> None:
    container = clients.blobs.get_container_client(_INCOMING)
    if not container.exists():
        container.create_container()
    for upload in uploads:
        container.upload_blob(upload.name, upload.read(), overwrite=True)


def _wait_for_rows(clients: Clients, uploads: list[Upload]) -> dict[str, Record]:
    """Read rows until every upload has one, or the deadline passes; by blob name."""
    results = Results(clients, table=DEFAULTS["RESULTS_TABLE"], container=DEFAULTS["RESULTS_CONTAINER"])
    records: dict[str, Record] = {}
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while len(records) < len(uploads) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        for upload in uploads:
            if upload.name not in records:
                row = results.read_row(Image(_INCOMING, upload.name))
                if row is not None and row.record is not None:
                    records[upload.name] = row.record
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


def _draw(picture: Path, uploads: list[Upload], records: dict[str, Record]) -> None:
    tiles = []
    for upload in uploads:
        record = records.get(upload.name)
        if record is None:
            tiles.append(Tile(upload.read(), "missing", upload.name, is_problem=True))
        elif record.score is None:
            tiles.append(Tile(upload.read(), str(record.reason), upload.name, is_problem=True))
        else:
            tiles.append(Tile(upload.read(), f"{record.label} {record.score:.2f}", upload.name, is_problem=False))
    contact_sheet(tiles).save(picture, optimize=True)


def _show(uploads: list[Upload], records: dict[str, Record]) -> int:
    """Print one line per upload; 1 if any has no result or another one than it should."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("image", "status", "label"):
        table.add_column(heading, no_wrap=True)
    for heading in ("score", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    wrong: list[str] = []
    for upload in uploads:
        record, name = records.get(upload.name), printable(upload.name)
        if record is None:
            wrong.append(f"{name}: no row after {_DEADLINE_SECONDS:.0f} s")
            table.add_row(escape(name), "missing", "", "", "")
            continue
        problem = _problem(upload, record)
        if problem:
            wrong.append(f"{name}: {problem}")
        good = record.status is Status.CLASSIFIED
        table.add_row(
            escape(name),
            f"[green]{record.status}[/]" if good else f"[yellow]{record.status}[/]",
            escape(printable(str(record.label))) if good else f"({record.reason})",
            f"{record.score:.3f}" if record.score is not None else "",
            str(record.duration_ms),
        )
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    any_result = all(upload.expected is None for upload in uploads)
    console.print(
        f"\n{len(uploads) - len(wrong)} of {len(uploads)} {'have a result' if any_result else 'as expected'}."
        f" Each row has a sidecar in the container {DEFAULTS['RESULTS_CONTAINER']!r}: copies are in"
        f" .demo/{DEFAULTS['RESULTS_CONTAINER']}/, the host's log in .demo/host.log.",
        highlight=False,
        soft_wrap=True,
    )
    for line in wrong:
        print(f"WRONG {line}", file=sys.stderr)
    return 1 if wrong else 0


def _problem(upload: Upload, record: Record) -> str | None:
    """Return the difference between a result and the expected one, if there is one."""
    if upload.expected is None:
        return f"{record.status}: {record.detail or record.reason}" if record.status is Status.FAILED else None
    status, label, reason = upload.expected
    if (record.status, record.label, record.reason) == upload.expected:
        return None
    return f"{record.status} {record.label or record.reason}, but should be {status} {label or reason}"
