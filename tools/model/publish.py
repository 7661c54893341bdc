"""``model publish``: uploads a model to blob storage as a new version; apps that follow it load it by themselves."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from inference.model.folder import load_model
from tools.model.folders import import_model, model_files
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

    from storage.blob_folder import BlobFolder
    from storage.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a model folder")
    parser.add_argument("--to", metavar="CONTAINER/PREFIX", help="target on ImageStorage (default: MODEL_BLOB)")
    parser.add_argument("--dry-run", action="store_true", help="print the uploads, write nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.epilog = (
        "A new version becomes visible when all its files are uploaded. Earlier versions are kept; publish one again to"
        "\nreturn to it.\n\nexample:\n  python -m tools model publish models/shapes --to models/shapes"
    )


def run(args: argparse.Namespace) -> int:
    """Publish a model that can be used."""
    from storage.models.publish import publish
    from tools.account import open_account

    load_model(args.folder)  # refuses before the first request to storage
    with open_account() as account, tempfile.TemporaryDirectory() as temporary:
        target = _target(args.to, account.settings)
        # With every value in its model.json the model keeps its name and version in every folder it is copied to.
        default_name = args.folder.resolve().name
        folder = import_model(args.folder, Path(temporary), name=None, default_name=default_name)
        spec = load_model(folder).spec
        files = {path.relative_to(folder).as_posix(): path for path in model_files(folder, spec)}
        published = publish(account.clients.blobs, target, files, dry_run=args.dry_run)
    if args.json:
        summary = {
            "event": "summary",
            "to": str(target),
            "model": spec.identity.name,
            "model_version": spec.identity.version,
            "blob_version": published.version,
            "uploaded": published.uploaded,
            "kept": published.kept,
            "bytes": published.size,
            "dry_run": args.dry_run,
        }
        print(json.dumps(summary))
        return 0
    for name in published.uploaded:
        print(f"{'would upload' if args.dry_run else 'uploaded':<12} {target}/{published.version}/{printable(name)}")
    for name in published.kept:
        print(f"{'exists':<12} {target}/{published.version}/{printable(name)}")
    becomes = "would become" if args.dry_run else "is now"
    print(f"{target} {becomes} {printable(spec.identity.name)} version {spec.identity.version}.")
    if not args.dry_run:
        print(f"Apps with MODEL_BLOB={target} load it within MODEL_REFRESH_SECONDS.", file=sys.stderr)
    return 0


def _target(stated: str | None, settings: Settings) -> BlobFolder:
    from storage.blob_folder import BlobFolder

    if stated is None:
        if len(settings.model_blobs) != 1:
            raise ConfigurationError("Name the target with --to container/prefix: MODEL_BLOB does not name one place.")
        return settings.model_blobs[0]
    try:
        target = BlobFolder.parse(stated)
    except ValueError as error:
        raise ConfigurationError("--to must be container/prefix, such as models/shapes.") from error
    if target.container in {settings.incoming_container, settings.results_container}:
        raise ConfigurationError(f"{target.container} is for images or results: give models a container of their own.")
    return target
