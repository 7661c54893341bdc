"""``python -m tools package``: the zip that Azure Functions runs as it is, built without Docker and without Azure.

For Python 3.13 on Linux x86_64, the packages beside the app, nothing left to build there (``--no-build``).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from storage.settings import DEFAULTS
from tools.package import closure, wheels
from tools.package.archive import MAX_BYTES, write
from tools.package.contents import ROOT, SITE_PACKAGES, app_files, files_below, left_behind, model_files
from tools.package.lock import LOCK
from tools.package.sizes import table, weights
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

ZIP = "blob-image-classifier.zip"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--model",
        default=DEFAULTS["MODEL_DIR"],
        metavar="DIR",
        help="the model's folder, or several with ; between them, as in MODEL_DIR (default: %(default)s)",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path(ZIP), metavar="FILE", help="default: %(default)s")
    parser.add_argument(
        "--no-heic",
        action="store_true",
        help="leave pillow-heif out, whose wheel is GPL (docs/licences.md): photos in HEIC are then rejected",
    )
    parser.epilog = (
        "The model is opened first, and refused as the app would refuse it.\n\n"
        "example:\n  python -m tools package --model path/to/my-model"
    )


def run(args: argparse.Namespace) -> int:
    """Build the package and print what weighs what in it."""
    folders = [Path(part.strip()) for part in args.model.split(";") if part.strip()]
    files = app_files()
    for name in left_behind():
        print(f"{printable(name)} stays behind: git does not track it (git add)", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        place, site = Path(scratch) / "app", Path(scratch) / "site"
        models = [model_files(folder, place) for folder in folders]
        wheels.install(LOCK, site)
        wanted = closure.declared((ROOT / "requirements.txt").read_text(encoding="utf-8"))
        if unlike := closure.differences(site, wanted):
            raise ConfigurationError(
                "The lock of the package does not fit requirements.txt: "
                + "; ".join(unlike)
                + ". Write it again: python3.13 -m tools.package.lock"
            )
        if args.no_heic:
            wheels.remove(site, "pillow-heif")
        if models:
            files |= files_below(place / "models", "models")
        files |= files_below(site, SITE_PACKAGES)
        digest = write(args.output, files)
    for line in table(weights(args.output)):
        print(line)
    size = args.output.stat().st_size
    print(f"{args.output}: {size / 1e6:.1f} MB of at most {MAX_BYTES / 1e6:.0f}, sha256 {digest}")
    for path, identity in models:
        print(f"{path}: {printable(identity.name)} version {identity.version}")
    said = ";".join(path for path, _ in models)
    if said != DEFAULTS["MODEL_DIR"]:
        print(f"The app must be told where it is: app setting MODEL_DIR={said}", file=sys.stderr)
    return 0
