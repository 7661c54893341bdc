"""Copies blobs within one account, several at once; storage moves the bytes, this machine none.

A copy states in its metadata which content of which image it is. So a later run skips copies that are there, replaces
the copy of an earlier content, and never touches a blob that is not such a copy.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError

from storage.errors import error_code, translate
from storage.etags import bare_etag, quoted_etag
from storage.refusals import ARCHIVED_CODES

if TYPE_CHECKING:
    import threading
    from types import TracebackType

    from azure.storage.blob import BlobClient, BlobProperties, BlobServiceClient

    from storage.results.record import Image, Record

_THREADS = 16
_MAX_PENDING = 4 * _THREADS
_POLL_SECONDS = 1.0
_REFUSED = frozenset({401, 403})
_CONDITION_CODES = frozenset({"", "ConditionNotMet", "SourceConditionNotMet", "TargetConditionNotMet"})
_SOURCE, _ETAG = "sorted_image", "sorted_etag"  # metadata: a hash of the image's name, and the content


class Result(StrEnum):
    """The result of one copy, in the words of the summary."""

    COPIED = "copied"
    PRESENT = "present"
    GONE = "gone"
    CHANGED = "changed"
    ARCHIVED = "archived"
    OCCUPIED = "occupied"
    FAILED = "failed"


class Done(NamedTuple):
    """One image whose copy has ended.

    Attributes:
        record: The row.
        result: The result.
        detail: A sentence where there is no copy of this content now, else empty.
    """

    record: Record
    result: Result
    detail: str = ""


class Copies:
    """Copies images to a container. Not thread-safe; a context manager.

    Args:
        service: A pooled client of the account.
        container: The target; it is created when the first copy finds it missing.
        stopping: Set to end the wait for copies that storage has not completed.
    """

    def __init__(self, service: BlobServiceClient, container: str, stopping: threading.Event) -> None:
        self._service = service
        self._container = service.get_container_client(container)
        self._stopping = stopping
        self._pending: deque[Future[Done]] = deque()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="sort")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, record: Record, place: str) -> list[Done]:
        """Begin the copy of a row's image; return those that ended meanwhile. Blocks while many copies are running.

        Raises:
            ConfigurationError: Storage refused a request.
        """
        done = [self._end_oldest()] if len(self._pending) >= _MAX_PENDING else []
        self._pending.append(self._pool.submit(self._copy, record, place))
        return done

    def finish(self) -> list[Done]:
        """Wait for the copies that were begun, and return them.

        Raises:
            ConfigurationError: Storage refused a request.
        """
        return [self._end_oldest() for _ in range(len(self._pending))]

    def _end_oldest(self) -> Done:
        return self._pending.popleft().result()

    def _copy(self, record: Record, place: str) -> Done:
        target = self._container.get_blob_client(place)
        try:
            try:
                status = self._start_in_container(target, record)
            except ResourceExistsError as error:
                if error_code(error) != "BlobAlreadyExists":
                    raise
                existing = target.get_blob_properties()
                if not _is_copy_of(existing, record.image):
                    return Done(record, Result.OCCUPIED, "another blob has its place in the container, and stays.")
                status = str(existing.copy.status or "success")
                if _is_of_content(existing, record) and status in {"success", "pending"}:
                    return self._awaited(target, record, status, Result.PRESENT)
                same = {"etag": existing.etag, "match_condition": MatchConditions.IfNotModified}
                status = self._start(target, record, **same)
            return self._awaited(target, record, status, Result.COPIED)
        except AzureError as error:
            return _failed(record, error)

    def _start_in_container(self, target: BlobClient, record: Record) -> str:
        """Start a copy to a place that has no blob; create the container if it is missing."""
        new = {"match_condition": MatchConditions.IfMissing}
        try:
            return self._start(target, record, **new)
        except HttpResponseError as error:
            if error_code(error) != "ContainerNotFound":
                raise
        with suppress(ResourceExistsError):
            self._container.create_container()
        return self._start(target, record, **new)

    def _start(self, target: BlobClient, record: Record, **condition: Any) -> str:
        # The account accepts its own key, token or SAS for the source too; with a SAS the client's URL has it.
        source = self._service.get_blob_client(record.container, record.blob_name)
        answer = target.start_copy_from_url(
            source.url,
            metadata={_SOURCE: _name_hash(record.image), _ETAG: bare_etag(record.etag)},
            source_etag=quoted_etag(record.etag),
            source_match_condition=MatchConditions.IfNotModified,
            **condition,
        )
        return str(answer["copy_status"])

    def _awaited(self, target: BlobClient, record: Record, status: str, result: Result) -> Done:
        """Wait until storage has completed a copy, which it usually has at once within one account."""
        while status == "pending":
            if self._stopping.wait(_POLL_SECONDS):
                return Done(record, Result.FAILED, "storage had not completed the copy when the command was stopped.")
            status = str(target.get_blob_properties().copy.status)
        if status != "success":
            return Done(record, Result.FAILED, f"storage ended the copy ({status}): run the command again.")
        return Done(record, result)


def _failed(record: Record, error: AzureError) -> Done:
    """The result of a copy that raised; a refusal of the account is raised.

    Raises:
        ConfigurationError: Storage refuses the key, the token or the role.
    """
    code = error_code(error)
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status in _REFUSED:
        raise translate(error, f"copying {record.image}") from None
    if sentence := ARCHIVED_CODES.get(code):
        return Done(record, Result.ARCHIVED, sentence)
    if status == 404:
        return Done(record, Result.GONE, "it is deleted.")
    if status == 412 and code in _CONDITION_CODES:
        return Done(record, Result.CHANGED, "it has another content than its row: run again when that is classified.")
    answer = " ".join(str(part) for part in (status, code) if part) or type(error).__name__
    return Done(record, Result.FAILED, f"storage did not copy it ({answer}): run the command again.")


def _is_copy_of(existing: BlobProperties, image: Image) -> bool:
    return (existing.metadata or {}).get(_SOURCE) == _name_hash(image)


def _is_of_content(existing: BlobProperties, record: Record) -> bool:
    return (existing.metadata or {}).get(_ETAG) == bare_etag(record.etag)


def _name_hash(image: Image) -> str:
    return hashlib.sha256(str(image).encode()).hexdigest()
