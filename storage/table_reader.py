"""Reading ranges of one table, each request counted, with conditions that storage applies itself."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from azure.core.exceptions import ResourceNotFoundError

from storage.errors import translated
from storage.tables import TableRanges

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azure.core.paging import ItemPaged
    from azure.data.tables import TableClient, TableEntity

    from storage.keys import RowKeys
    from storage.query.plan import Span
    from storage.tables import Entities


class Condition(NamedTuple):
    """What entities must fulfil, beside their keys.

    Attributes:
        text: OData; ``@name`` stands for a value.
        values: By name.
    """

    text: str
    values: Mapping[str, Any]


class Tally:
    """A count that many threads add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def add(self) -> None:
        """Count one more."""
        with self._lock:
            self.count += 1


class TableReader(TableRanges):
    """Ranges and points of one table; a table that does not exist is empty, and is not made. Thread-safe.

    Args:
        table: Its client.
        tally: Counts the requests that were answered.
        condition: Which entities of a range are wanted; all of them where ``None``.
    """

    def __init__(self, table: TableClient, tally: Tally, condition: Condition | None = None) -> None:
        super().__init__(table)
        self._tally = tally
        self._condition = condition

    def where(self, condition: Condition) -> TableReader:
        """The same table, and the same tally, under another condition."""
        return TableReader(self._table, self._tally, condition)

    def span(self, span: Span) -> Iterator[Entities]:
        """Yield the entities of a range page by page, in key order. A page may be empty, and yet not the last."""
        values = {"first": span.first_partition, "last": span.last_partition}
        text = "PartitionKey ge @first and PartitionKey le @last"
        if span.first_partition == span.last_partition:
            text = "PartitionKey eq @first"
        if span.first_row is not None and span.last_row is not None:
            text += " and RowKey ge @first_row and RowKey le @last_row"
            values |= {"first_row": span.first_row, "last_row": span.last_row}
        return self._query(text, values)

    def point(self, address: RowKeys) -> Mapping[str, Any] | None:
        """The entity at an address, whatever the condition; ``None`` where there is none."""
        with translated(f"reading the table {self._table.table_name}"):
            try:
                return self._table.get_entity(address.partition_key, address.row_key)
            except ResourceNotFoundError:
                return None
            finally:
                self._tally.add()

    def _query(self, query: str, values: dict[str, Any]) -> Iterator[Entities]:
        if self._condition is None:
            return super()._query(query, values)
        return super()._query(f"{query} and {self._condition.text}", {**values, **self._condition.values})

    def _pages(self, found: ItemPaged[TableEntity]) -> Iterator[Entities]:
        answered = False
        for page in super()._pages(found):
            answered = True
            self._tally.add()
            yield page
        if not answered:
            self._tally.add()  # the answer was that there is no such table
