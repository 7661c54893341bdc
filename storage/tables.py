"""Reading a table in bulk: by key range, page by page, without ever making it.

Only PartitionKey and RowKey are indexed, so every question here is a range of them. The orders in which Table Storage,
its emulator and Python put characters beyond U+D7FF differ; ``comparison`` says how it gets by without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from azure.core.exceptions import ResourceNotFoundError

from storage.errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azure.core.paging import ItemPaged
    from azure.data.tables import TableClient, TableEntity

PAGE = 1000  # the most that one query request gives; it may give fewer, even none, and go on

Entities = list["Mapping[str, Any]"]


class Ranges(Protocol):
    """What a comparison asks of a table. Every page is one request; a table that does not exist is empty."""

    def across(self, first: str, last: str) -> Iterator[Entities]:
        """Yield all entities whose PartitionKey lies in ``[first, last]``, in key order."""
        ...

    def within(self, partition_key: str, first: str, last: str) -> Iterator[Entities]:
        """Yield the entities of one partition whose RowKey lies in ``[first, last]``, in key order."""
        ...


class TableRanges:
    """Key ranges of one table. Thread-safe.

    Args:
        table: Its client.
        select: The columns wanted; all of them where ``None``.
    """

    def __init__(self, table: TableClient, select: Sequence[str] | None = None) -> None:
        self._table = table
        self._select = list(select) if select else None

    def everything(self) -> Iterator[Entities]:
        """Yield the whole table, in key order."""
        return self._pages(self._table.list_entities(select=self._select, results_per_page=PAGE))

    def across(self, first: str, last: str) -> Iterator[Entities]:
        """See ``Ranges``."""
        return self._query("PartitionKey ge @first and PartitionKey le @last", {"first": first, "last": last})

    def within(self, partition_key: str, first: str, last: str) -> Iterator[Entities]:
        """See ``Ranges``."""
        return self._query(
            "PartitionKey eq @partition and RowKey ge @first and RowKey le @last",
            {"partition": partition_key, "first": first, "last": last},
        )

    def _query(self, query: str, values: dict[str, Any]) -> Iterator[Entities]:
        found = self._table.query_entities(query, parameters=values, select=self._select, results_per_page=PAGE)
        return self._pages(found)

    def _pages(self, found: ItemPaged[TableEntity]) -> Iterator[Entities]:
        pages = found.by_page()
        while True:
            with translated(f"reading the table {self._table.table_name}"):
                try:
                    page = next(pages, None)
                    if page is None:
                        return
                    entities: Entities = list(page)
                except ResourceNotFoundError:
                    return
            yield entities
