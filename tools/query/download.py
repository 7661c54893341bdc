"""Fetching the images behind rows: side by side, each file whole or not there, nothing fetched twice.

A file's time says which content it is: the blob's own last change, with a fingerprint of the ETag in its microseconds.
So a second run knows without a list, and without a request, what it has: same size, same time, same content.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
import uuid
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceModifiedError, ResourceNotFoundError

from inference.errors import TransientError
from storage.errors import translate
from storage.etags import bare_etag
from tools.query.file_names import FileNames
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from azure.storage.blob import BlobServiceClient

    from storage.results.record import Record

_THREADS = 16
_AHEAD = 4 * _THREADS
_PIECE_BYTES = 8 << 20  # in memory for one file at one moment; each piece is tried again by the SDK on its own
_PARTIAL = ".partial"
_ABANDONED_SECONDS = 3600.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Ending(StrEnum):
    """How the fetching of one image ended, as the summary says it."""

    DOWNLOADED = "downloaded"
    PRESENT = "there already"
    GONE = "gone or changed since"  # asked for a content that is not there, storage does not say which
    FAILED = "failed"


class Downloads:
    """Fetches images into a folder while their rows are still being found. For one thread; a context manager.

    Args:
        service: A pooled client of the account.
        folder: Where to; made if need be.
        tell: Told, a sentence at a time, what a person should know: other names, images that could not be had.

    Attributes:
        endings: How many ended how.
    """

    def __init__(self, service: BlobServiceClient, folder: Path, tell: Callable[[str], object]) -> None:
        self._service = service
        self._folder = folder
        self._tell = tell
        self._names = FileNames(reserved=_PARTIAL)
        self._stopping = threading.Event()
        self._waiting: deque[Future[tuple[Ending, str]]] = deque()
        self.endings: Counter[Ending] = Counter()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="download")

    def __enter__(self) -> Self:
        partial = self._folder / _PARTIAL
        try:
            partial.mkdir(parents=True, exist_ok=True)
            for left in partial.iterdir():
                if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    left.unlink()
        except OSError as error:
            raise TransientError(f"{self._folder} cannot be written: {error.strerror}.") from error
        return self

    def __exit__(self, kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        try:
            while self._waiting and kind is None:
                self._settle()
        finally:
            self._stopping.set()
            self._pool.shutdown(cancel_futures=True)
            with suppress(OSError):  # somebody else's file may be in it
                (self._folder / _PARTIAL).rmdir()

    def add(self, record: Record) -> None:
        """Fetch the image of a row; waits when many are on their way.

        Raises:
            ConfigurationError: Storage refused.
            TransientError: The disk is full.
        """
        path = self._names.path(record.blob_name)
        if str(path) != record.blob_name:
            self._tell(f"{printable(record.blob_name)} is kept as {path}.")
        if len(self._waiting) >= _AHEAD:
            self._settle()
        self._waiting.append(self._pool.submit(self._fetch, record, self._folder / path))

    def summary(self) -> str:
        """How many ended how, as a sentence."""
        said = [f"{self.endings[ending]:,} {ending}" for ending in Ending if self.endings[ending]]
        return f"{', '.join(said) or 'Nothing to download'}; in {self._folder}."

    @property
    def complete(self) -> bool:
        """Whether every image is in the folder."""
        return self.endings.total() == self.endings[Ending.DOWNLOADED] + self.endings[Ending.PRESENT]

    def _settle(self) -> None:
        ending, told = self._waiting.popleft().result()
        self.endings[ending] += 1
        if told:
            self._tell(told)

    def _fetch(self, record: Record, path: Path) -> tuple[Ending, str]:
        name = printable(str(record.image))
        try:
            if _is_there(path, record):
                return Ending.PRESENT, ""
            partial = self._folder / _PARTIAL / uuid.uuid4().hex
            try:
                self._copy(record, partial)
                os.utime(partial, ns=(_stamp(record), _stamp(record)))
                path.parent.mkdir(parents=True, exist_ok=True)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        except (ResourceNotFoundError, ResourceModifiedError):
            return Ending.GONE, f"{name} is gone, or was changed since it was judged."
        except TransientError as error:
            return Ending.FAILED, str(error)
        except OSError as error:
            if error.errno in _FULL:
                raise TransientError(f"{self._folder} is full: make room, then run the same again.") from error
            return Ending.FAILED, f"{name} could not be written: {error.strerror}."
        return Ending.DOWNLOADED, ""

    def _copy(self, record: Record, path: Path) -> None:
        """Write the content that was judged, and no other, to a file."""
        blob = self._service.get_blob_client(record.container, record.blob_name)
        etag = f'"{bare_etag(record.etag)}"'
        pinned = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        as_stored: dict[str, Any] = {**pinned, "max_concurrency": 1, "decompress": False}
        length = record.content_length or 0
        md5, promised = hashlib.md5(usedforsecurity=False), None
        with path.open("xb") as file:
            for offset in range(0, max(1, length), _PIECE_BYTES):
                if self._stopping.is_set():
                    raise TransientError("Stopped.")
                piece_of = (offset, min(_PIECE_BYTES, length - offset)) if length else ()  # nothing has no range
                try:
                    download = blob.download_blob(*piece_of, **as_stored)
                    piece = download.readall()
                except (ResourceNotFoundError, ResourceModifiedError):
                    raise
                except AzureError as error:
                    raise translate(error, f"reading {record.image}") from error
                promised = download.properties.content_settings.content_md5
                md5.update(piece)
                file.write(piece)
            if file.tell() != length or (promised and bytes(promised) != md5.digest()):
                raise TransientError(f"{printable(str(record.image))} did not arrive whole: run the same again.")


def _is_there(path: Path, record: Record) -> bool:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return status.st_size == (record.content_length or 0) and status.st_mtime_ns // 1000 == _stamp(record) // 1000


def _stamp(record: Record) -> int:
    """The time of a file with this content, in nanoseconds, whole microseconds; see the module."""
    changed = record.blob_last_modified or record.classified_at
    fingerprint = int.from_bytes(hashlib.sha256(bare_etag(record.etag).encode()).digest()[:8], "big") % 1_000_000
    return (int(changed.timestamp()) * 1_000_000 + fingerprint) * 1000
