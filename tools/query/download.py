"""Downloads the images of rows in parallel. A file is complete or absent, and no content is downloaded twice.

A file's modification time identifies its content: the blob's last change, with a hash of the ETag in the microseconds.
A second run therefore needs no list and no request: a file of the same size and time has the same content.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
import unicodedata
import uuid
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceModifiedError, ResourceNotFoundError

from inference.errors import TransientError
from storage.errors import translate
from storage.etags import bare_etag, quoted_etag
from storage.listing import folder_pages
from storage.refusals import RefusedBlobError
from tools.query.file_names import PARTIAL, file_path
from tools.query.siblings import Siblings
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path, PurePosixPath
    from types import TracebackType

    from azure.storage.blob import BlobServiceClient

    from storage.blobs import SourceBlobs
    from storage.results.record import Record

_THREADS = 16
_MAX_PENDING = 4 * _THREADS
_CHUNK_BYTES = 8 << 20  # in memory per file; the SDK retries each chunk by itself
_ABANDONED_SECONDS = 3600.0
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class DownloadResult(StrEnum):
    """The result of one download, in the words of the summary."""

    DOWNLOADED = "downloaded"
    PRESENT = "there already"
    GONE = "gone or changed since"  # storage answers both in the same way
    FAILED = "failed"


class Downloads:
    """Downloads images into a folder while the query is still running. Not thread-safe; a context manager.

    Args:
        service: A pooled client of the account.
        source: The images of the account.
        folder: The target folder; created if necessary.
        report: Called with a sentence for each changed file name and each image that could not be downloaded.

    Attributes:
        counts: The number of images by result.
    """

    def __init__(
        self, service: BlobServiceClient, source: SourceBlobs, folder: Path, report: Callable[[str], object]
    ) -> None:
        self._service = service
        self._source = source
        self._folder = folder
        self._report = report
        self._stopping = threading.Event()
        self._pending: deque[Future[tuple[DownloadResult, str]]] = deque()
        self.counts: Counter[DownloadResult] = Counter()
        self._siblings = Siblings(
            lambda container, below: folder_pages(service.get_container_client(container), below), report
        )
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="download")

    def __enter__(self) -> Self:
        unfinished = self._folder / PARTIAL
        try:
            unfinished.mkdir(parents=True, exist_ok=True)
            for left in unfinished.iterdir():
                if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    left.unlink()
        except OSError as error:
            raise TransientError(f"{self._folder} cannot be written: {error.strerror}.") from error
        return self

    def __exit__(self, kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        try:
            while self._pending and kind is None:
                self._finish_oldest()
        finally:
            self._stopping.set()
            self._pool.shutdown(cancel_futures=True)
            with suppress(OSError):  # it may hold a file of another run
                (self._folder / PARTIAL).rmdir()

    def add(self, record: Record, path: PurePosixPath | None = None) -> None:
        """Start the download of a row's image. Blocks while many downloads are running.

        Args:
            record: The row.
            path: Where in the folder the image belongs, if not at the path of its blob.

        Raises:
            ConfigurationError: Storage refused the request.
            TransientError: The disk is full, or storage failed for now to list a folder of the image.
        """
        if path is None:
            path = file_path(record.blob_name, partial(self._siblings.colliding_below, record.container))
            if str(path) != record.blob_name:
                self._report(f"{printable(record.blob_name)} is saved as {path}.")
        if len(self._pending) >= _MAX_PENDING:
            self._finish_oldest()
        self._pending.append(self._pool.submit(self._fetch, record, self._folder / path))

    def summary(self) -> str:
        """The numbers as a sentence."""
        counts = [f"{self.counts[result]:,} {result}" for result in DownloadResult if self.counts[result]]
        return f"{', '.join(counts) or 'Nothing to download'}; in {self._folder}."

    @property
    def complete(self) -> bool:
        """Whether every image is in the folder."""
        return self.counts.total() == self.counts[DownloadResult.DOWNLOADED] + self.counts[DownloadResult.PRESENT]

    def _finish_oldest(self) -> None:
        result, message = self._pending.popleft().result()
        self.counts[result] += 1
        if message:
            self._report(message)

    def _fetch(self, record: Record, path: Path) -> tuple[DownloadResult, str]:
        name = printable(str(record.image))
        try:
            if _is_there(path, record):
                return DownloadResult.PRESENT, ""
            unfinished = self._folder / PARTIAL / uuid.uuid4().hex
            try:
                self._copy(record, unfinished)
                os.utime(unfinished, ns=(_stamp(record), _stamp(record)))
                path.parent.mkdir(parents=True, exist_ok=True)
                _refuse_other_spelling(path, self._folder)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
        except (ResourceNotFoundError, ResourceModifiedError):
            return DownloadResult.GONE, f"{name} is gone, or changed since it was classified."
        except RefusedBlobError as error:
            return DownloadResult.FAILED, f"{name}: {error}"
        except TransientError as error:
            return DownloadResult.FAILED, str(error)
        except OSError as error:
            if error.errno in _DISK_FULL:
                raise TransientError(f"{self._folder} is full: make room, then run the command again.") from error
            return DownloadResult.FAILED, f"{name} could not be written: {error.strerror}."
        return DownloadResult.DOWNLOADED, ""

    def _copy(self, record: Record, path: Path) -> None:
        """Write the content that was classified to a file, never a newer one."""
        blob = self._service.get_blob_client(record.container, record.blob_name)
        pinned = {"etag": quoted_etag(record.etag), "match_condition": MatchConditions.IfNotModified}
        as_stored: dict[str, Any] = {**pinned, "max_concurrency": 1, "decompress": False}
        length = record.content_length or 0
        md5, stored_md5 = hashlib.md5(usedforsecurity=False), None
        with path.open("xb") as file:
            for offset in range(0, max(1, length), _CHUNK_BYTES):
                if self._stopping.is_set():
                    raise TransientError("Stopped.")
                # An empty blob has no range that could be requested.
                byte_range = (offset, min(_CHUNK_BYTES, length - offset)) if length else ()
                try:
                    download = blob.download_blob(*byte_range, **as_stored)
                    chunk = download.readall()
                except (ResourceNotFoundError, ResourceModifiedError):
                    raise
                except AzureError as error:
                    refusal = self._source.refusal(record.image, error)
                    raise refusal or translate(error, f"reading {record.image}") from None
                stored_md5 = download.properties.content_settings.content_md5
                md5.update(chunk)
                file.write(chunk)
            is_other = stored_md5 and bytes(stored_md5) != md5.digest() and not record.md5_mismatch
            if file.tell() != length or is_other:
                raise TransientError(f"{printable(str(record.image))} arrived incomplete: run the command again.")


def _is_there(path: Path, record: Record) -> bool:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return status.st_size == (record.content_length or 0) and status.st_mtime_ns // 1000 == _stamp(record) // 1000


def _refuse_other_spelling(path: Path, folder: Path) -> None:
    """Raise ``FileExistsError`` where the disk takes a file of another name for this one: a blob's that was deleted."""
    while path.exists() and path != folder:
        if _composed(path.name) not in {_composed(each.name) for each in path.parent.iterdir()}:
            raise FileExistsError(errno.EEXIST, f"the disk has another spelling of {path}: move that away")
        path = path.parent


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)  # some file systems give accents back in another composition


def _stamp(record: Record) -> int:
    """The modification time of a file with this content, in nanoseconds, at microsecond grain (see the module)."""
    changed = record.blob_last_modified or record.classified_at
    etag_hash = int.from_bytes(hashlib.sha256(bare_etag(record.etag).encode()).digest()[:8], "big") % 1_000_000
    return (int(changed.timestamp()) * 1_000_000 + etag_hash) * 1000
