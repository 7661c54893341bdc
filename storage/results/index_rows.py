"""The rows of the index table that lead to a result. Each holds every column of it, so it answers a query alone.

Left out are the columns that only attempts at the same image read: they change while the result stays.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from storage import keys
from storage.results.record import IndexRow
from storage.results.serialization import from_entity, to_entity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from storage.results.record import Record

logger = logging.getLogger(__name__)

_LEFT_OUT = ("PartitionKey", "RowKey", "superseded", "shared", "notify_due")


def index_rows(record: Record) -> tuple[IndexRow, ...]:
    """The index rows of a result: by status, by label where there is one, and by time of capture where it is known."""
    columns = {name: value for name, value in to_entity(record).items() if name not in _LEFT_OUT}
    return tuple(IndexRow(address, columns) for address in record.index_addresses())


def has_every_column(entity: Mapping[str, Any]) -> bool:
    """Whether an index row has the columns of its result. Version 1 wrote seven; ``reconcile`` adds the others."""
    return "model_version" in entity


def from_index_entity(entity: Mapping[str, Any]) -> Record | None:
    """Read a complete index row; ``None`` where its keys do not follow from its columns, as after an edit by hand."""
    address = keys.RowKeys(entity["PartitionKey"], entity["RowKey"])
    try:
        row = keys.image_keys(entity["container"], entity["blob_name"])
        record = from_entity({**entity, "PartitionKey": row.partition_key, "RowKey": row.row_key})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        logger.warning("row_unreadable partition_key=%r row_key=%r error=%s", *address, error)
        return None
    return record if address in record.index_addresses() else None
