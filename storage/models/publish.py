"""Publishes a model in blob storage so that a reader sees all of it or nothing: ``published.json`` is written last."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContentSettings

from storage.errors import translate_errors
from storage.models.blob_models import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from azure.storage.blob import BlobServiceClient, ContainerClient

    from storage.blob_folder import BlobFolder

_JSON = ContentSettings(content_type="application/json; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Published:
    """The result of a publication.

    Attributes:
        version: A hash of the files: the same files are the same version.
        uploaded: Names of the files that were sent.
        kept: Names of the files that an earlier attempt or publication had sent.
        size: Bytes of the whole model.
    """

    version: str
    uploaded: tuple[str, ...]
    kept: tuple[str, ...]
    size: int


def publish(
    service: BlobServiceClient, folder: BlobFolder, files: Mapping[str, Path], *, dry_run: bool = False
) -> Published:
    """Upload a model's files below ``prefix/<version>/``, then switch readers over to them in one write.

    Earlier versions stay. To roll back, publish one of them again: only the manifest is uploaded. An interruption at
    any point changes nothing for readers, and the next run continues. Blobs of the same size are downloaded and
    compared, because the properties of a blob do not prove its bytes; a damaged one is replaced.

    Args:
        service: A client of the account.
        folder: Container and prefix; the container is made if it is missing.
        files: Path in the model's folder, with ``/``, to the file on this machine.
        dry_run: Read only.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused.
    """
    container = service.get_container_client(folder.container)
    hashes = {name: _sha256(path) for name, path in sorted(files.items())}
    version = hashlib.sha256(json.dumps(hashes).encode()).hexdigest()[:12]
    with translate_errors(f"publishing to {folder}"):
        sizes = {name: files[name].stat().st_size for name in hashes}
        there = {
            name for name in hashes if _is_there(container, folder.blob(f"{version}/{name}"), hashes[name], sizes[name])
        }
        missing = tuple(name for name in hashes if name not in there)
        if not dry_run:
            with suppress(ResourceExistsError):
                container.create_container()
            for name in missing:
                with files[name].open("rb") as opened:
                    container.upload_blob(folder.blob(f"{version}/{name}"), opened, overwrite=True)
            manifest = {
                "version": version,
                "files": [
                    {"name": name, "blob": f"{version}/{name}", "size": sizes[name], "sha256": digest}
                    for name, digest in hashes.items()
                ],
            }
            text = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
            container.upload_blob(folder.blob(MANIFEST), text, overwrite=True, content_settings=_JSON)
    return Published(version, missing, tuple(sorted(there)), sum(sizes.values()))


def _is_there(container: ContainerClient, blob: str, sha256: str, size: int) -> bool:
    """Whether a blob holds exactly these bytes. Only one of the right size is downloaded."""
    digest = hashlib.sha256()
    try:
        arriving = container.get_blob_client(blob).download_blob(max_concurrency=1)
        if arriving.size != size:
            return False
        for piece in arriving.chunks():
            digest.update(piece)
    except ResourceNotFoundError:
        return False
    return digest.hexdigest() == sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
