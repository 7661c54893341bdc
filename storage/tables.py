"""Reading a table by key ranges and points, one page at a time. Nothing here creates a table.

Only PartitionKey and RowKey are indexed, so every read is a range of them. Table Storage, its emulator and Python sort
characters beyond U+D7FF differently; ``storage.query.lookup`` describes how readers avoid relying on that order.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from azure.core.exceptions import ResourceNotFoundError

from storage.errors import translate_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from azure.core.paging import ItemPaged
    from azure.data.tables import TableClient

    from storage.keys import RowKeys

PAGE = 1000
"""The most entities that one query request returns. It may return fewer, or none, and still continue."""

Entities = list["Mapping[str, Any]"]


class Span(NamedTuple):
    """A range of keys, both ends included. Without row keys it covers whole partitions."""

    first_partition: str
    last_partition: str
    first_row: str | None = None
    last_row: str | None = None


class Condition(NamedTuple):
    """What entities must match besides their keys; the service applies it.

    Attributes:
        text: OData; ``@name`` stands for a value.
        values: By name.
    """

    text: str
    values: Mapping[str, Any]


class RequestCounter:
    """Counts the table requests that were answered. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def add(self) -> None:
        """Count one request."""
        with self._lock:
            self.count += 1


class TableReader:
    """Reads one table. A table that does not exist reads as empty. Thread-safe.

    Args:
        table: Its client.
        select: The columns to read; ``None`` reads all.
        counter: Counts the requests.
        condition: What entities of a range must match; ``None`` reads every entity.
    """

    def __init__(
        self,
        table: TableClient,
        select: Sequence[str] | None = None,
        counter: RequestCounter | None = None,
        condition: Condition | None = None,
    ) -> None:
        self._table = table
        self._select = list(select) if select else None
        self._counter = counter or RequestCounter()
        self._condition = condition

    def where(self, condition: Condition | None) -> TableReader:
        """A reader of the same table, with the same counter and another condition."""
        return TableReader(self._table, self._select, self._counter, condition)

    def pages(self, span: Span | None = None, first_page: int = PAGE) -> Iterator[Entities]:
        """Yield the entities of a range page by page, in key order. An empty page need not be the last one.

        Args:
            span: The range; ``None`` is the whole table.
            first_page: The most entities of the first page, at most ``PAGE``.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        size = first_page
        pages = self._query(span, size).by_page()
        while True:
            with translate_errors(f"reading the table {self._table.table_name}"):
                try:
                    page: Entities | None = list(next(pages))
                except StopIteration:
                    return
                except ResourceNotFoundError:
                    page = None
            self._counter.add()
            if page is None:
                return
            yield page
            if size != PAGE:
                size, token = PAGE, pages.continuation_token  # type: ignore[attr-defined] # of the iterator's class
                if token is None:
                    return
                pages = self._query(span, size).by_page(token)

    def point(self, address: RowKeys) -> Mapping[str, Any] | None:
        """The entity at an address, regardless of the condition; ``None`` where there is none.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        with translate_errors(f"reading the table {self._table.table_name}"):
            try:
                return self._table.get_entity(address.partition_key, address.row_key, select=self._select)
            except ResourceNotFoundError:
                return None
            finally:
                self._counter.add()

    def _query(self, span: Span | None, page_size: int) -> ItemPaged[Any]:
        text, values = self._filter(span)
        options: dict[str, Any] = {"select": self._select, "results_per_page": page_size}
        if text:
            return self._table.query_entities(text, parameters=values, **options)
        return self._table.list_entities(**options)

    def _filter(self, span: Span | None) -> tuple[str, dict[str, Any]]:
        """The OData filter of a range and the condition, with its parameters."""
        terms: list[str] = []
        values: dict[str, Any] = {}
        if span is not None:
            values["first"] = span.first_partition
            if span.first_partition == span.last_partition:
                terms.append("PartitionKey eq @first")
            else:
                values["last"] = span.last_partition
                terms.append("PartitionKey ge @first and PartitionKey le @last")
            if span.first_row is not None and span.last_row is not None:
                values |= {"first_row": span.first_row, "last_row": span.last_row}
                terms.append("RowKey ge @first_row and RowKey le @last_row")
        if self._condition is not None:
            terms.append(self._condition.text)
            values |= self._condition.values
        return " and ".join(terms), values


def entity_etag(entity: Mapping[str, Any]) -> str:
    """The ETag of an entity that a read returned."""
    return str(entity.metadata["etag"])  # type: ignore[attr-defined] # the SDK returns a TableEntity, which has it
