"""Models in blob storage: their current version, and its files on this machine's disk. Knows nothing of ONNX.

A ``container/prefix`` has one of two forms:

    published    ``published.json`` names the files of one version and their SHA-256. It is written last, in one
                 request, so a reader sees a whole version or the one before (``storage.models.publish``).
    copied       An operator copied the files there. The version is a hash of a listing: names, ETags, sizes.

A version is downloaded into the cache once per machine, checked, and appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceModifiedError, ResourceNotFoundError

from inference.errors import ModelError, TransientError
from storage.errors import translate, translate_errors
from storage.listing import list_pages

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from azure.storage.blob import BlobServiceClient, ContainerClient

    from storage.blob_folder import BlobFolder
    from storage.models.cache import ModelCache

MANIFEST = "published.json"

_MAX_FILES = 200  # a model's folder has about ten; a container of photos, named by mistake, has a million
_MAX_MANIFEST_BYTES = 1 << 20
_NO_SUCH_RANGE = 416
_RANGE_BYTES = 8 << 20  # in memory at one moment; the SDK retries each range separately


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model.

    Attributes:
        name: Its path in the model's folder, with ``/``.
        blob: Its name in the container.
        size: Bytes.
        etag: The expected ETag, without quotes; of copied files.
        md5: The MD5 of these bytes, where storage has one.
        sha256: The expected SHA-256, 64 hex digits; of published files.
    """

    name: str
    blob: str
    size: int
    etag: str | None = None
    md5: bytes | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model.

    Attributes:
        version: Differs for every other content; a valid name of a folder.
        files: The files of a model in blob storage by name, at least one.
        changed_at: When the newest file was written, aware UTC; ``None`` for a published version, which is whole.
    """

    version: str
    files: tuple[ModelFile, ...] = ()
    changed_at: datetime | None = None


class BlobModel:
    """A model's folder in a container. Thread-safe.

    Args:
        service: A pooled client of the account.
        folder: Container and prefix.
        cache: Keeps the versions on this machine.
    """

    is_shared = True

    def __init__(self, service: BlobServiceClient, folder: BlobFolder, cache: ModelCache) -> None:
        self._container: ContainerClient = service.get_container_client(folder.container)
        self._folder = folder
        self._cache = cache
        self._name = PurePosixPath(folder.prefix).name or folder.container

    def __str__(self) -> str:
        return str(self._folder)

    def current_version(self) -> ModelVersion:
        """Return the current version: one request, or two for copied files.

        Raises:
            ModelError: There is no file, or the files cannot be a model.
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused.
        """
        return self._published() or self._copied()

    def fetch(self, version: ModelVersion) -> Path:
        """Return the version's folder on this machine, named like the prefix's last part; download it if necessary.

        Raises:
            ModelError: The bytes are not the published ones.
            TransientError: Storage failed for now, or a file changed during the download.
            ConfigurationError: Storage refused, or the cache cannot be written.

        Every call compares the files on the disk with their SHA-256, and downloads those again that differ.
        """
        sha256 = {file.name: file.sha256 for file in version.files}

        def fill(place: Path) -> None:
            for file in version.files:
                target = place.joinpath(*PurePosixPath(file.name).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                self._download(file, target)

        place = f"{self._container.url}/{self._folder.prefix}"
        return self._cache.folder(place, version.version, self._name, sha256=sha256, fill=fill)

    def _published(self) -> ModelVersion | None:
        blob = self._container.get_blob_client(self._folder.blob(MANIFEST))
        with translate_errors(f"reading {self._folder}/{MANIFEST}"):
            try:
                arriving = blob.download_blob()
                content = arriving.readall() if arriving.size <= _MAX_MANIFEST_BYTES else b""
            except ResourceNotFoundError:
                return None
        try:
            document = json.loads(content)
            files = tuple(self._published_file(entry) for entry in document["files"])
            version = _checked_word(document["version"])
            if not files:
                raise ValueError("it names no file")  # noqa: TRY301 - one sentence for every fault of the manifest
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(
                f"{self._folder}/{MANIFEST} cannot be read ({type(error).__name__}): publish the model again."
            ) from error
        return ModelVersion(version, files)

    def _published_file(self, entry: dict[str, Any]) -> ModelFile:
        name = self._checked_name(str(entry["name"]))
        blob = self._folder.blob(self._checked_name(str(entry["blob"])))
        return ModelFile(name, blob, int(entry["size"]), sha256=_checked_word(entry["sha256"]))

    def _copied(self) -> ModelVersion:
        prefix = self._folder.blob("")
        listed = []
        for page in list_pages(self._container, prefix=prefix or None):
            listed += [blob for blob in page if not blob.name.endswith("/")]
            if len(listed) > _MAX_FILES:
                raise ModelError(f"{self._folder} holds more than {_MAX_FILES} files: MODEL_BLOB must name one model.")
        names = {blob.name for blob in listed}
        # Accounts with real folders list them as empty blobs.
        folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
        blobs = [blob for blob in listed if blob.content_length or blob.name not in folders]
        if not blobs:
            raise ModelError(
                f"{self._folder} holds no files: put a model there with"
                f" `python -m tools model publish DIR --to {self._folder}`, or correct MODEL_BLOB."
            )
        files = tuple(
            ModelFile(
                self._checked_name(blob.name.removeprefix(prefix)),
                blob.name,
                blob.content_length,
                etag=blob.etag,
                md5=blob.content_md5,
            )
            for blob in sorted(blobs, key=lambda blob: blob.name)
        )
        listing = json.dumps([(file.name, file.etag, file.size) for file in files])
        version = hashlib.sha256(listing.encode()).hexdigest()[:12]
        return ModelVersion(version, files, max(blob.last_modified for blob in blobs))

    def _checked_name(self, name: str) -> str:
        """Return a name that lies in a folder and nowhere else, on Windows too: blob names are hostile."""
        parts = name.split("/")
        if any(part in {"", ".", ".."} or {":", "\\"} & set(part) or not part.isprintable() for part in parts):
            raise ModelError(f"{self._folder} holds {name!r:.100}, which is no name for a file: rename or remove it.")
        return name

    def _download(self, file: ModelFile, target: Path) -> None:
        self._stream(file, target)
        if _is_intact(file, target):
            return
        self._stream(file, target)  # once more: the connection may have damaged it
        if not _is_intact(file, target):
            raise ModelError(f"{self._folder}: {file.name} is not the file that was published: publish it again.")

    def _stream(self, file: ModelFile, target: Path) -> None:
        blob = self._container.get_blob_client(file.blob)
        action = f"reading {self._folder}/{file.name}"
        pinned: dict[str, Any] = {}
        if file.etag is not None:
            pinned = {"etag": f'"{file.etag}"', "match_condition": MatchConditions.IfNotModified}
        with target.open("wb") as opened:
            for offset in range(0, file.size, _RANGE_BYTES):
                length = min(_RANGE_BYTES, file.size - offset)
                try:
                    piece = blob.download_blob(offset=offset, length=length, max_concurrency=1, **pinned).readall()
                except (ResourceModifiedError, ResourceNotFoundError) as error:
                    raise TransientError(f"{action} failed for now (it was replaced meanwhile).") from error
                except AzureError as error:
                    if isinstance(error, HttpResponseError) and error.status_code == _NO_SUCH_RANGE:
                        break  # the blob is shorter than the published file, which the caller finds out
                    raise translate(error, action) from None  # as ``translate_errors`` does, for the same reason
                opened.write(piece)


def _is_intact(file: ModelFile, target: Path) -> bool:
    if target.stat().st_size != file.size:
        return False
    with target.open("rb") as opened:
        if file.sha256 is not None:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
        if file.md5 is not None:
            md5 = hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False))
            return md5.digest() == file.md5
    return True


def _checked_word(value: object) -> str:
    if not isinstance(value, str) or not value.isalnum() or not value.isascii():
        raise ValueError("not a version or a hash")
    return value
