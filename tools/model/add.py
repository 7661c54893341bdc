"""``model add``: a published model, a model by URL or file, or an exporter's folder becomes a folder of ours."""

from __future__ import annotations

import difflib
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from rich.markup import escape

from inference.errors import ConfigurationError, ModelError
from inference.model.exporters import catalogue
from inference.model.folder import load_model
from tools.model.archive import unpack
from tools.model.download import download, without_secrets
from tools.model.folders import appearing, checked_name, state_facts, take_in
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

_LARGE, _SMALL = "https://media.githubusercontent.com/media", "https://raw.githubusercontent.com"  # Git LFS, and text


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "what",
        metavar="NAME|URL|DIR",
        help="a published model's name, the URL or file of an .onnx or .zip, or a folder",
    )
    parser.add_argument("--to", type=Path, default=Path("models"), metavar="DIR", help="where to (default: models)")
    parser.add_argument("--name", help="name of the new folder (default: of what is added)")
    parser.add_argument("--mirror", metavar="URL", help="where published models are, instead of GitHub")
    parser.epilog = (
        f"published models:\n  {'  '.join(_names())}\n\n"
        "HTTPS_PROXY, NO_PROXY and REQUESTS_CA_BUNDLE are honoured; a download that broke off goes on.\n\n"
        "example:\n  python -m tools model add mobilenetv2-12-qdq"
    )


def run(args: argparse.Namespace) -> int:
    """Add one model; 1 when it is there but a fact is missing."""
    what: str = args.what
    given = Path(what)
    try:
        if urlsplit(what).scheme in {"http", "https"}:
            return _from_url(what, args)
        if given.is_dir():
            return _told(take_in(given, args.to, name=args.name, otherwise=given.resolve().name))
        if given.is_file():
            return _from_file(given, args, given.name)
        return _told(_published(what, args))
    except OSError as error:
        raise ConfigurationError(f"{args.to} cannot be written: {error.strerror or error}.") from error


def _names() -> list[str]:
    return [model["name"] for model in catalogue.content()["models"]]


def _published(name: str, args: argparse.Namespace) -> Path:
    """Fetch a model of the catalogue and its labels; only the bytes that the catalogue knows are accepted."""
    known = catalogue.content()
    model: dict[str, Any] | None = next((one for one in known["models"] if one["name"] == name), None)
    if model is None:
        close = difflib.get_close_matches(name, _names(), n=1)
        meant = f"did you mean {close[0]}?" if close else f"known are {', '.join(_names())}."
        raise ConfigurationError(f"{name!r:.80} is no folder, no file, no URL and no published model; {meant}")
    unfinished = _unfinished(args.to)
    fetched: dict[str, Path] = {}
    for path, host, sha256 in ((model["path"], _LARGE, model["sha256"]), (model["labels"], _SMALL, None)):
        base = args.mirror.rstrip("/") if args.mirror else f"{host}/{known['repository']}/{known['commit']}"
        file_name = Path(path).name
        fetched[file_name] = unfinished / f"{name}.{file_name}"
        with _progress(file_name) as tell:
            download(f"{base}/{path}", fetched[file_name], sha256=sha256, tell=tell)
    folder: Path = args.to / (args.name or name)
    with appearing(folder.parent, folder.name) as place:
        for file_name, file in fetched.items():
            file.rename(place / file_name)
        state_facts(place, load_model(place).spec, folder.name)
    _tidy(unfinished)
    return folder


def _from_url(url: str, args: argparse.Namespace) -> int:
    called = Path(unquote(urlsplit(url).path)).name or "model"
    unfinished = _unfinished(args.to)
    file = unfinished / checked_name(args.name or Path(called).stem)
    with _progress(called) as tell:
        digest = download(url, file, tell=tell)
    print(f"SHA-256 {digest}  {printable(without_secrets(url))}", file=sys.stderr)
    try:
        return _from_file(file, args, called)
    finally:
        file.unlink(missing_ok=True)
        _tidy(unfinished)


def _from_file(file: Path, args: argparse.Namespace, called: str) -> int:
    """Take in a ZIP file or an ONNX file; one that lacks a fact is kept, for a person to add it."""
    otherwise = Path(called).stem
    target = args.to / (args.name or otherwise)
    args.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.to, prefix=".unpacked-") as place:
        folder = unpack(file, Path(place), called if called.endswith(".onnx") else "model.onnx")
        try:
            load_model(folder)
        except ModelError as error:
            with appearing(args.to, target.name) as kept:
                for path in folder.iterdir():
                    path.rename(kept / path.name)
            refusal = str(error).replace(str(folder), str(target))
            print(f"{target} is there, and not usable yet. {refusal}", file=sys.stderr)
            return 1
        return _told(take_in(folder, args.to, name=args.name, otherwise=otherwise))


def _unfinished(to: Path) -> Path:
    place = to / ".downloads"
    place.mkdir(parents=True, exist_ok=True)
    return place


def _tidy(unfinished: Path) -> None:
    if not any(unfinished.iterdir()):
        unfinished.rmdir()


def _told(folder: Path) -> int:
    spec = load_model(folder).spec
    print(folder)
    print(
        f"{printable(spec.identity.name)} version {spec.identity.version}, {len(spec.labels)} labels. Use it with"
        f" MODEL_DIR={folder}, or look at it with: python -m tools model inspect {folder}",
        file=sys.stderr,
    )
    return 0


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int | None], object]]:
    """Draw a bar on stderr where a person looks, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(escape(printable(name)), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
