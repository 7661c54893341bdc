"""Answering a question from the tables: streamed page by page, in constant memory, writing and making nothing.

The index only finds: what is answered is the row, and an index row that its row does not stand behind is passed over.
Answers from the index come newest first, those from the results table by folder and name.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from datetime import timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from storage.keys import RowKeys, image_keys
from storage.query.join import readable
from storage.query.lookup import Lookup
from storage.query.plan import Kind, plan
from storage.results.record import same_etag
from storage.table_reader import TableReader, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azure.data.tables import TableServiceClient

    from storage.query.plan import Filter, Span
    from storage.results.record import Record

# Index rows that are followed at one moment: few at first, so that the first answers come at once.
_FIRST_BATCH = 16
_BATCH = 1000
_MICROSECOND = timedelta(microseconds=1)


class Query:
    """One question to an account's tables. For one thread.

    Args:
        tables: A pooled client of the account.
        table: Name of the results table; the index table is the same name and ``index``.
        wanted: What is asked for.

    Attributes:
        kind: Point, range or scan.
        table: The table whose keys answer it.
    """

    def __init__(self, tables: TableServiceClient, table: str, wanted: Filter) -> None:
        self._wanted = wanted
        self._plan = plan(wanted)
        self._tally = Tally()
        self.kind = self._plan.kind
        self.table = f"{table}index" if self._plan.in_index else table
        condition = wanted.condition(in_index=self._plan.in_index)
        self._asked = TableReader(tables.get_table_client(self.table), self._tally, condition)
        self._rows = TableReader(tables.get_table_client(table), self._tally)

    @property
    def requests(self) -> int:
        """How many table requests were answered so far."""
        return self._tally.count

    def records(self, limit: int | None = None) -> Iterator[Record]:
        """Yield the rows that are wanted, at most ``limit``.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused.
        """
        if self._plan.in_index:
            return self._followed(limit)
        records = (record for row in self._found() if (record := readable(row)) is not None)
        return islice(records, limit)

    def count(self, limit: int | None = None) -> int:
        """Count the rows that are wanted, at most ``limit``; the index counts without its rows where it can.

        A result that is half-written may then count too, or twice.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused.
        """
        alone = not self._plan.in_index or self._wanted.model is None
        return sum(1 for _ in (islice(self._found(), limit) if alone else self.records(limit)))

    def _found(self) -> Iterator[Mapping[str, Any]]:
        """Yield the entities of the plan's table that hold, streams merged by RowKey: in the index, that is by time."""
        if self.kind is Kind.POINT:
            (((partition, _, row, _),),) = self._plan.streams
            entity = self._asked.point(RowKeys(partition, row or ""))
            return iter([entity] if entity is not None and self._wanted.holds(entity) else [])
        holds = self._wanted.holds_in_index if self._plan.in_index else self._wanted.holds
        streams = [filter(holds, self._entities(spans)) for spans in self._plan.streams]
        return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=lambda entity: entity["RowKey"])

    def _entities(self, spans: Sequence[Span]) -> Iterator[Mapping[str, Any]]:
        return chain.from_iterable(chain.from_iterable(map(self._asked.span, spans)))

    def _followed(self, limit: int | None) -> Iterator[Record]:
        """Yield the rows behind the index rows found, in their order."""
        claims = self._found()
        size, left = _FIRST_BATCH, limit
        with Lookup(self._rows) as lookup:
            while left is None or left > 0:
                batch = list(islice(claims, size if left is None else min(size, left)))
                if not batch:
                    return
                addresses = [_claimed(claim) for claim in batch]
                newest, oldest = batch[0]["classified_at"], batch[-1]["classified_at"]
                around = replace(self._wanted, since=oldest, until=newest + _MICROSECOND)
                records = lookup.records(addresses, around.condition(in_index=False))
                for claim, address in zip(batch, addresses, strict=True):
                    record = records.get(address)
                    if record is not None and self._stands_behind(record, claim):
                        yield record
                        left = None if left is None else left - 1
                size = min(size * 4, _BATCH)

    def _stands_behind(self, record: Record, claim: Mapping[str, Any]) -> bool:
        """Whether a row is wanted, and the index row that led to it is its own."""
        columns = {name: getattr(record, name) for name in _ASKED_OF_A_ROW}
        address = RowKeys(claim["PartitionKey"], claim["RowKey"])
        return (
            self._wanted.holds(columns)
            and same_etag(record.etag, str(claim.get("etag")))
            and address in {row.keys for row in record.index_rows()}
        )


_ASKED_OF_A_ROW = ("container", "blob_name", "status", "label", "score", "classified_at", "model", "model_version")


def _claimed(claim: Mapping[str, Any]) -> RowKeys:
    """The address of the row that an index row speaks of; its columns were looked at by ``Filter.holds_in_index``."""
    return image_keys(claim["container"], str(claim.get("blob_name")))
