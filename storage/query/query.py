"""Answers a query from the tables, page by page and in constant memory. It writes nothing and creates nothing.

An index row holds every column of its row, so an answer from the index costs one request for each thousand rows. While
an attempt writes a result, the index may hold the earlier outcome, or both; after a crash, until ``reconcile`` has run.
``verify`` reads each row as well, and skips an index row that disagrees with it. An index row of version 1 has few
columns, so its row is always read. Answers from the index come newest first, answers from the results table by folder
and name.
"""

from __future__ import annotations

import heapq
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any

from storage.etags import same_etag
from storage.keys import RowKeys, image_keys
from storage.query.condition import condition
from storage.query.lookup import RowLookup
from storage.query.plan import Kind, plan
from storage.results.index_rows import from_index_entity, has_every_column
from storage.results.serialization import from_any_entity
from storage.tables import PAGE, RequestCounter, TableReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azure.data.tables import TableServiceClient

    from storage.query.plan import Filter
    from storage.results.record import Record
    from storage.tables import Span

_FIRST_PAGE = 100  # rows: a page of a thousand takes half a second of CPU, in the service and here
# Index rows whose rows are read together: few at first, so that the first answers appear at once.
_FIRST_BATCH = 16
_MAX_BATCH = 1000
_MICROSECOND = timedelta(microseconds=1)
_FILTERED = (
    *("container", "blob_name", "status", "label", "score", "classified_at", "reason", "model", "model_version"),
    *("damaged", "taken_at", "camera_make", "camera_model", "camera_serial"),
)


class Query:
    """One query of an account's tables. Not thread-safe.

    Args:
        tables: A pooled client of the account.
        table: Name of the results table; the index table is the same name and ``index``.
        row_filter: Which rows to return.
        verify: Confirm each answer of the index by its row.

    Attributes:
        kind: Point, range or scan.
        table: The table whose keys answer it.
        in_keys: The given parts of the filter that its key ranges hold.
        compared: The other given parts: storage reads the ranges and compares each of their rows with these.
    """

    def __init__(self, tables: TableServiceClient, table: str, row_filter: Filter, *, verify: bool = False) -> None:
        self._filter = row_filter
        self._verify = verify
        self._plan = plan(row_filter)
        self._counter = RequestCounter()
        self.kind = self._plan.kind
        self.in_keys = tuple(name for name in row_filter.given if name in self._plan.in_keys)
        self.compared = tuple(name for name in row_filter.given if name not in self._plan.in_keys)
        self.table = f"{table}index" if self._plan.in_index else table
        planned = condition(row_filter, in_keys=self._plan.in_keys, in_index=self._plan.in_index)
        self._planned = TableReader(tables.get_table_client(self.table), counter=self._counter, condition=planned)
        self._rows = TableReader(tables.get_table_client(table), counter=self._counter)

    @property
    def requests(self) -> int:
        """How many table requests were answered so far."""
        return self._counter.count

    def records(self, limit: int | None = None) -> Iterator[Record]:
        """Yield the matching rows, at most ``limit``.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        if self._plan.in_index:
            return self._rows_of_index(limit)
        entities = self._entities(_first_page(limit))
        records = (record for entity in entities if (record := from_any_entity(entity)) is not None)
        return islice(records, limit)

    def count(self, limit: int | None = None) -> int:
        """Count the matching rows, at most ``limit``. Where the index answers, a result may be counted twice meanwhile.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        needs_rows = self._plan.in_index and (self._verify or not self._filter.first_index_columns_are_enough)
        return sum(1 for _ in (self.records(limit) if needs_rows else islice(self._entities(), limit)))

    def _entities(self, first_page: int = PAGE) -> Iterator[Mapping[str, Any]]:
        """Yield the matching entities of the planned table, streams merged by RowKey: in the index that is by time.

        A small first page appears sooner. Several streams have none: it could cost a request for each of them.
        """
        if self.kind is Kind.POINT:
            (((partition, _, row, _),),) = self._plan.streams
            entity = self._planned.point(RowKeys(partition, row or ""))
            return iter([entity] if entity is not None and self._filter.matches(entity) else [])
        matches = self._matches_index_row if self._plan.in_index else self._filter.matches
        first_page = first_page if len(self._plan.streams) == 1 else PAGE
        streams = [filter(matches, self._stream(spans, first_page)) for spans in self._plan.streams]
        if len(streams) == 1:
            return streams[0]
        return heapq.merge(*_begun_together(streams), key=lambda entity: entity["RowKey"])

    def _matches_index_row(self, entity: Mapping[str, Any]) -> bool:
        """Whether a result matches; of an index row with few columns, whether it may."""
        return (self._filter.matches if has_every_column(entity) else self._filter.matches_index_row)(entity)

    def _stream(self, spans: Sequence[Span], first_page: int) -> Iterator[Mapping[str, Any]]:
        sizes = chain([first_page], repeat(PAGE))
        return chain.from_iterable(chain.from_iterable(map(self._planned.pages, spans, sizes)))

    def _rows_of_index(self, limit: int | None) -> Iterator[Record]:
        """Yield the results of the matching index rows, in the same order."""
        index_rows = self._entities(_first_page(limit))
        size, left = _FIRST_BATCH, limit
        with RowLookup(self._rows) as lookup:
            while left is None or left > 0:
                batch = list(islice(index_rows, size if left is None else min(size, left)))
                if not batch:
                    return
                for record in self._results_of(batch, lookup):
                    yield record
                    left = None if left is None else left - 1
                size = min(size * 4, _MAX_BATCH)

    def _results_of(self, batch: Sequence[Mapping[str, Any]], lookup: RowLookup) -> Iterator[Record]:
        """Yield the matching results of some index rows. Rows are read where the index rows are not enough."""
        to_look_up = [entity for entity in batch if self._needs_row(entity)]
        rows = self._read_rows(to_look_up, lookup) if to_look_up else {}
        for entity in batch:
            if self._needs_row(entity):
                record = rows.get(_address(entity))
                if record is not None and self._confirms(record, entity):
                    yield record
            elif (record := from_index_entity(entity)) is not None:
                yield record

    def _needs_row(self, index_row: Mapping[str, Any]) -> bool:
        return self._verify or not has_every_column(index_row)

    def _read_rows(self, index_rows: Sequence[Mapping[str, Any]], lookup: RowLookup) -> Mapping[RowKeys, Record]:
        times = [entity["classified_at"] for entity in index_rows]
        of_batch = replace(self._filter, since=min(times), until=max(times) + _MICROSECOND)
        return lookup.records(list(map(_address, index_rows)), condition(of_batch))

    def _confirms(self, record: Record, index_row: Mapping[str, Any]) -> bool:
        """Whether a row matches, and the index row that led to it is its own."""
        return (
            self._filter.matches({name: getattr(record, name) for name in _FILTERED})
            and same_etag(record.etag, str(index_row.get("etag")))
            and RowKeys(index_row["PartitionKey"], index_row["RowKey"]) in record.index_keys()
        )


def _begun_together(streams: Sequence[Iterator[Mapping[str, Any]]]) -> list[Iterator[Mapping[str, Any]]]:
    """The same streams, each with its first row read: merging needs them all, so their requests are sent at once."""
    if not streams:
        return []
    with ThreadPoolExecutor(len(streams), thread_name_prefix="query") as pool:
        begun = list(pool.map(lambda stream: list(islice(stream, 1)), streams))
    return [chain(first, stream) for first, stream in zip(begun, streams, strict=True)]


def _first_page(limit: int | None) -> int:
    return _FIRST_PAGE if limit is None else min(limit, _FIRST_PAGE)


def _address(index_row: Mapping[str, Any]) -> RowKeys:
    """The keys of the row that an index row leads to."""
    return image_keys(index_row["container"], str(index_row.get("blob_name")))
