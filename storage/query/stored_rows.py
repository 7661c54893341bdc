"""Rows of the results table with their ETags, for callers that write them again.

They come from the results table alone, in the order of its keys. A run that changes labels moves rows of the index, so
it would meet some of those twice or never.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from storage.query.condition import condition
from storage.query.plan import Filter, plan
from storage.results.serialization import from_any_entity
from storage.results.store import Stored
from storage.tables import TableReader, entity_etag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.data.tables import TableServiceClient


def stored_rows(tables: TableServiceClient, table: str, row_filter: Filter) -> Iterator[Stored]:
    """Yield the matching rows that can be read: one image, a folder, or a scan that storage filters.

    Args:
        tables: A pooled client of the account.
        table: Name of the results table.
        row_filter: Which rows.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused the request.
    """
    place = plan(Filter(row_filter.container, image=row_filter.image, folder=row_filter.folder))
    rows = TableReader(
        tables.get_table_client(table), condition=condition(row_filter, in_keys=place.in_keys, in_index=False)
    )
    for span in chain.from_iterable(place.streams):
        for entity in chain.from_iterable(rows.pages(span)):
            record = from_any_entity(entity) if row_filter.matches(entity) else None
            if record is not None:
                yield Stored(record, entity_etag(entity))
