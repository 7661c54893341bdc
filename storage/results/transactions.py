"""Group commit of table writes: writes of many threads to one partition are sent as one transaction of up to 100.

The commit protocol is not affected. A write still returns once it has taken effect, and raises what it would have
raised alone, so the order of an image's steps, their conditions and what a crash may leave are those of ``commit``.

    thread 1   write_row a/1 ─┐ the first thread leads: it waits a moment for others,
    thread 2   write_row a/2 ─┼─ one transaction: a/1 a/2 a/3 ── and all three return
    thread 3   write_row a/3 ─┘

A transaction takes effect as a whole or not at all. When the service refuses one of its writes, none is done, and each
thread sends its own write alone.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.data.tables import UpdateMode

from storage.errors import SDK_ERRORS, translate
from storage.results.serialization import to_entity
from storage.results.store import Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from azure.data.tables import TableClient

    from storage import keys
    from storage.clients import Clients
    from storage.results.record import Image, IndexRow, Record
    from storage.results.store import Stored

    Operation = tuple[str, Mapping[str, Any]] | tuple[str, Mapping[str, Any], Mapping[str, Any]]

# 100 entities and 4 MiB (learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions). Half of
# it, for what a transaction adds to each entity (URL, headers: about 700 bytes) and for JSON that is longer than ours.
_MAX_WRITES = 100
_MAX_BYTES = 2 * 1024 * 1024
# Transient for a single write too; every other refusal may concern one write of many.
_TRY_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class BatchedResults(Results):
    """``Results`` whose table writes are grouped with those of other threads. Thread-safe; meant for many threads.

    Args:
        clients: Pooled clients of the account.
        table: Name of the results table; the index table is the same name and ``index``.
        container: Name of the container for sidecars.
        max_waiting: When this many writes wait, the oldest group is sent.
        max_wait_seconds: The longest that a write waits for others.
    """

    def __init__(
        self, clients: Clients, *, table: str, container: str, max_waiting: int = 80, max_wait_seconds: float = 1.0
    ) -> None:
        super().__init__(clients, table=table, container=container)
        self._max_waiting = max_waiting
        self._max_wait_seconds = max_wait_seconds
        self._lock = threading.Lock()
        self._open_groups: dict[tuple[str, str], _Group] = {}  # by table and partition: the next write joins them
        self._participants = 0
        self._waiting = 0
        self._without_row: set[Image] = set()

    @contextmanager
    def participating(self) -> Iterator[None]:
        """Register this thread as a writer. When every registered thread is waiting, all groups are sent.

        Threads that do not register never delay a group.
        """
        with self._lock:
            self._participants += 1
        try:
            yield
        finally:
            with self._lock:
                self._participants -= 1
                self._close_ready_groups()

    def expect_no_row(self, image: Image) -> None:
        """Skip the next ``read_row`` of an image, because a listing just showed that it has no row.

        The commit protocol allows it: the row's ETag may be read at any time before the sidecar is written.
        """
        self._without_row.add(image)

    def read_row(self, image: Image) -> Stored | None:
        """See ``Results.read_row``."""
        try:
            self._without_row.remove(image)
        except KeyError:
            return super().read_row(image)
        return None

    def write_row(self, record: Record, replaced: Stored | None) -> None:
        """See ``Results.write_row``."""
        operation: Operation
        if replaced is None:
            operation = ("create", to_entity(record))
        else:
            condition = {"etag": replaced.etag, "match_condition": MatchConditions.IfNotModified}
            operation = ("update", to_entity(record), {"mode": UpdateMode.REPLACE, **condition})
        self._write_in_group(self._rows, operation, lambda: super(BatchedResults, self).write_row(record, replaced))

    def write_index_row(self, row: IndexRow) -> None:
        """See ``Results.write_index_row``."""
        upsert: Operation = ("upsert", row.to_entity(), {"mode": UpdateMode.REPLACE})
        self._write_in_group(self._index, upsert, lambda: super(BatchedResults, self).write_index_row(row))

    def delete_index_row(self, address: keys.RowKeys) -> None:
        """See ``Results.delete_index_row``."""
        delete: Operation = ("delete", {"PartitionKey": address.partition_key, "RowKey": address.row_key})
        self._write_in_group(self._index, delete, lambda: super(BatchedResults, self).delete_index_row(address))

    def _write_in_group(self, table: TableClient, operation: Operation, write_alone: Callable[[], None]) -> None:
        """Write in a transaction with other threads, or alone where the transaction is refused."""
        place = (table.table_name, operation[1]["PartitionKey"])
        length = len(json.dumps(operation[1], default=str))
        with self._lock:
            group = self._open_groups.get(place)
            if group is not None and not group.has_room(length):
                self._close(place)
                group = None
            leads = group is None
            if group is None:
                group = self._open_groups[place] = _Group()
            group.add(operation, length)
            self._waiting += 1
            self._close_ready_groups()
        if leads:
            if not group.closed.wait(self._max_wait_seconds):
                with self._lock:
                    if self._open_groups.get(place) is group:
                        self._close(place)
            group.send(table)
        else:
            group.sent.wait()
        if group.error is not None:
            raise translate(group.error, f"writing to the table {table.table_name}") from group.error
        if not group.committed:
            write_alone()

    def _close_ready_groups(self) -> None:
        """Close every group when all participants wait, else the oldest while ``max_waiting`` writes wait.

        A transaction costs as much CPU as a dozen of its writes, so the other groups are left to grow. The oldest
        rather than the largest: else groups of rare labels would stay open until they alone make up ``max_waiting``.
        The caller holds the lock.
        """
        all_wait = self._waiting >= self._participants
        while self._open_groups and (all_wait or self._waiting >= self._max_waiting):
            self._close(next(iter(self._open_groups)))

    def _close(self, place: tuple[str, str]) -> None:
        """Close a group, so that its leader sends it. The caller holds the lock."""
        group = self._open_groups.pop(place)
        self._waiting -= group.size
        group.closed.set()


class _Group:
    """Writes to one partition that are sent together. The first write's thread sends; ``BatchedResults`` has the lock.

    Attributes:
        closed: No further write joins.
        sent: ``committed`` and ``error`` are final.
        committed: The transaction took effect.
        error: The failure that every thread raises, instead of sending its write alone.
    """

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._bytes = 0
        self.closed = threading.Event()
        self.sent = threading.Event()
        self.committed = False
        self.error: Exception | None = None

    @property
    def size(self) -> int:
        """The number of writes."""
        return len(self._operations)

    def has_room(self, length: int) -> bool:
        """Whether a write of about ``length`` bytes may join."""
        return self.size < _MAX_WRITES and self._bytes + length <= _MAX_BYTES

    def add(self, operation: Operation, length: int) -> None:
        """Add a write of about ``length`` bytes."""
        self._operations.append(operation)
        self._bytes += length

    def send(self, table: TableClient) -> None:
        """Send the transaction. A single write is not sent here: alone it is cheaper."""
        try:
            if self.size > 1:
                table.submit_transaction(self._operations)
                self.committed = True
        except HttpResponseError as error:
            status = error.status_code or 0
            if not 400 <= status < 500 or status in _TRY_LATER:
                self.error = error
        except SDK_ERRORS as error:
            self.error = error
        finally:
            self.sent.set()
