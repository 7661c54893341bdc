"""``python -m tools package``: builds the zip that Azure Functions runs, without Docker and without Azure.

It contains the packages for Python 3.13 on Linux x86_64, so Azure has nothing to build (``--no-build``).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from storage.settings import DEFAULTS
from tools.package import wheels
from tools.package.archive import MAX_BYTES, write
from tools.package.contents import SITE_PACKAGES, app_files, files_below, model_files, untracked_files
from tools.package.sizes import sizes, table
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
        help="model folder, or several separated by ; as in MODEL_DIR (default: %(default)s)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(ZIP), metavar="FILE", help="zip to write (default: %(default)s)"
    )
    parser.add_argument(
        "--no-heic",
        action="store_true",
        help="leave out pillow-heif, whose wheel is GPL (docs/licences.md); the app then rejects HEIC photos",
    )
    parser.epilog = (
        "The command opens the model first, and refuses it if the app would.\n\n"
        "example:\n  python -m tools package --model path/to/my-model"
    )


def run(args: argparse.Namespace) -> int:
    """Build the package, and print its parts with their sizes."""
    wheels.check_lock()
    files = app_files()
    for name in untracked_files():
        print(f"{printable(name)} is left out: git does not track it (git add)", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        place, site = Path(scratch) / "app", Path(scratch) / "site"
        models = [model_files(Path(part.strip()), place) for part in args.model.split(";") if part.strip()]
        files |= files_below(place / "models", "models")
        wheels.install(wheels.LOCK, site)
        if args.no_heic:
            wheels.remove(site, "pillow-heif")
        files |= files_below(site, SITE_PACKAGES)
        digest = write(args.output, files)
    for line in table(sizes(args.output)):
        print(line)
    size = args.output.stat().st_size
    print(f"{args.output}: {size / 1e6:.1f} MB of at most {MAX_BYTES / 1e6:.0f}, sha256 {digest}")
    for path, identity in models:
        print(f"{path}: {printable(identity.name)} version {identity.version}")
    setting = ";".join(path for path, _ in models)
    if setting != DEFAULTS["MODEL_DIR"]:
        print(f"Set the app setting MODEL_DIR={setting}, so that the app finds its model.", file=sys.stderr)
    return 0
