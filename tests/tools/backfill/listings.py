"""A container and a table in memory, and images of a selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from storage.keys import RowKeys
from storage.listing import Listed
from storage.pipeline.stores import Stores
from storage.results.record import Image, Record
from storage.results.serialization import to_entity
from tests.storage.query.fake_table import FakeTable, service_order
from tests.storage.samples import NOON
from tools.backfill.selection import Found, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime


class Storage:
    """A container and a table in memory."""

    def __init__(self, pages: Callable[[], Iterator[Sequence[Listed]]], records: Sequence[Record] = ()) -> None:
        self._pages = pages
        self._rows = [to_entity(one) for one in records]

    def pages(self, _container: str, *, prefix: str | None = None) -> Iterator[Sequence[Listed]]:
        for page in self._pages():
            yield [blob for blob in page if blob.name.startswith(prefix or "")]

    def row_reader(self, _select: Sequence[str]) -> FakeTable:
        by_address = {RowKeys(row["PartitionKey"], row["RowKey"]): row for row in self._rows}
        return FakeTable(sorted(by_address, key=service_order), by_address.__getitem__)


def stores(storage: Storage) -> Stores:
    return Stores(cast("Any", storage), cast("Any", storage), now=lambda: NOON)


def blob(name: str, etag: str = "0x1", at: datetime = NOON) -> Listed:
    return Listed(name, etag, at, 10)


def new_images(count: int) -> list[Found]:
    return [Found(Image("incoming", f"{number}.jpg"), None, Reason.NEW) for number in range(count)]
