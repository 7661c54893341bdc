"""Table writes of many threads, put together: up to 100 to one partition travel as one transaction.

The commit protocol does not know. A write still returns once it has taken effect, and raises what it would have raised
alone, so the order of an image's steps, its guards and what a crash may leave are those of ``commit``.

    thread 1   write_row a/1 ─┐ the first to come leads: it waits a moment for company,
    thread 2   write_row a/2 ─┼─ one transaction: a/1 a/2 a/3 ── and all three go on
    thread 3   write_row a/3 ─┘

A transaction takes effect as a whole or not at all. Where one write loses to somebody else, or cannot stand beside the
others, none of them is done, and each thread does its own alone.
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
# The world's fault, as it is for a write alone; every other refusal may be about one write of many.
_TRY_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class BatchedResults(Results):
    """``Results`` whose table writes wait a moment for those of other threads. Thread-safe, and made for many threads.

    Args:
        clients: Pooled clients of the account.
        table: Name of the results table; the index table is the same name and ``index``.
        container: Name of the container for sidecars.
        crowd: No more writes than this wait: beyond it the oldest group sets off.
        linger_seconds: How long a write waits at most for others.
    """

    def __init__(
        self, clients: Clients, *, table: str, container: str, crowd: int = 80, linger_seconds: float = 1.0
    ) -> None:
        super().__init__(clients, table=table, container=container)
        self._crowd = crowd
        self._linger_seconds = linger_seconds
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], _Group] = {}  # by table and partition: whom the next write may join
        self._present = 0
        self._waiting = 0
        self._without_row: set[Image] = set()

    @contextmanager
    def company(self) -> Iterator[None]:
        """Be one of those for whose writes others wait. Once all of them wait, nobody else can come, and all set off.

        Whoever writes without it is waited for by nobody.
        """
        with self._lock:
            self._present += 1
        try:
            yield
        finally:
            with self._lock:
                self._present -= 1
                self._set_off_whoever_may()

    def expect_no_row(self, image: Image) -> None:
        """Note that a listing just showed no row of an image: the next ``read_row`` of it need not ask.

        The commit protocol allows for it: a guard may be read at any time before the sidecar is held.
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
        guarded: Operation
        if replaced is None:
            guarded = ("create", record.to_entity())
        else:
            guard = {"etag": replaced.token, "match_condition": MatchConditions.IfNotModified}
            guarded = ("update", record.to_entity(), {"mode": UpdateMode.REPLACE, **guard})
        self._together(self._rows, guarded, lambda: super(BatchedResults, self).write_row(record, replaced))

    def write_index_row(self, row: IndexRow) -> None:
        """See ``Results.write_index_row``."""
        upsert: Operation = ("upsert", _entity(row.keys, row.columns), {"mode": UpdateMode.REPLACE})
        self._together(self._index, upsert, lambda: super(BatchedResults, self).write_index_row(row))

    def delete_index_row(self, address: keys.RowKeys) -> None:
        """See ``Results.delete_index_row``."""
        delete: Operation = ("delete", _entity(address, {}))
        self._together(self._index, delete, lambda: super(BatchedResults, self).delete_index_row(address))

    def _together(self, table: TableClient, operation: Operation, alone: Callable[[], None]) -> None:
        """Do a write in the company of others, or alone where that is refused."""
        place = (table.table_name, operation[1]["PartitionKey"])
        length = len(json.dumps(operation[1], default=str))
        with self._lock:
            group = self._open.get(place)
            if group is not None and not group.has_room(length):
                self._set_off(place)
                group = None
            leads = group is None
            if group is None:
                group = self._open[place] = _Group()
            group.add(operation, length)
            self._waiting += 1
            self._set_off_whoever_may()
        if leads:
            if not group.full.wait(self._linger_seconds):
                with self._lock:
                    if self._open.get(place) is group:
                        self._set_off(place)
            group.send(table)
        else:
            group.sent.wait()
        if group.error is not None:
            raise translate(group.error, f"writing to the table {table.table_name}") from group.error
        if not group.taken:
            alone()

    def _set_off_whoever_may(self) -> None:
        """Close all groups when nobody is left to wait for, else the oldest while there is a crowd.

        A transaction costs as much CPU as a dozen of its writes, so the others are left to grow. Not the largest: those
        of rare labels would stay until they are the crowd. The caller holds the lock.
        """
        nobody_else = self._waiting >= self._present
        while self._open and (nobody_else or self._waiting >= self._crowd):
            self._set_off(next(iter(self._open)))

    def _set_off(self, place: tuple[str, str]) -> None:
        """Close a group, so that its leader sends. The caller holds the lock."""
        group = self._open.pop(place)
        self._waiting -= group.size
        group.full.set()


class _Group:
    """Writes to one partition that travel together. The first one's thread sends; ``BatchedResults`` has the lock.

    Attributes:
        full: Nothing more will join.
        sent: ``taken`` and ``error`` are final.
        taken: The transaction took effect.
        error: Why nobody need try alone.
    """

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._bytes = 0
        self.full = threading.Event()
        self.sent = threading.Event()
        self.taken = False
        self.error: Exception | None = None

    @property
    def size(self) -> int:
        """How many writes there are."""
        return len(self._operations)

    def has_room(self, length: int) -> bool:
        """Whether a write of about ``length`` bytes may join."""
        return self.size < _MAX_WRITES and self._bytes + length <= _MAX_BYTES

    def add(self, operation: Operation, length: int) -> None:
        """Let a write join."""
        self._operations.append(operation)
        self._bytes += length

    def send(self, table: TableClient) -> None:
        """Send the transaction; of one write it would be none, and dearer."""
        try:
            if self.size > 1:
                table.submit_transaction(self._operations)
                self.taken = True
        except HttpResponseError as error:
            status = error.status_code or 0
            if not 400 <= status < 500 or status in _TRY_LATER:
                self.error = error
        except SDK_ERRORS as error:
            self.error = error
        finally:
            self.sent.set()


def _entity(address: keys.RowKeys, columns: Mapping[str, Any]) -> dict[str, Any]:
    return {"PartitionKey": address.partition_key, "RowKey": address.row_key, **columns}
