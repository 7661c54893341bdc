"""A listing and a table of any size that are made while they are read, and count the requests they would take."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from storage.keys import RowKeys, image_keys
from storage.listing import Listed
from storage.results.serialization import to_entity
from storage.tables import TableReader
from tests.storage.samples import NOON, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from storage.tables import Condition, Entities, Span

LISTING_PAGE = 5000
TABLE_PAGE = 1000


def service_order(address: RowKeys) -> tuple[bytes, bytes]:
    """The order of .NET strings, and of the emulator: by UTF-16 unit."""
    return address.partition_key.encode("utf-16-be"), address.row_key.encode("utf-16-be")


def listed(name: str, etag: str = "0x8DE1") -> Listed:
    return Listed(name, etag, NOON.replace(microsecond=0), 10)


class FakeListing:
    """Pages of blobs, made one at a time."""

    def __init__(self, blobs: Iterable[Listed], page: int = LISTING_PAGE) -> None:
        self._blobs = blobs
        self._page = page
        self.requests = 0

    def __iter__(self) -> Iterator[list[Listed]]:
        page: list[Listed] = []
        for blob in self._blobs:
            page.append(blob)
            if len(page) == self._page:
                self.requests += 1
                yield page
                page = []
        self.requests += 1
        yield page


class FakeTable(TableReader):
    """Rows at sorted addresses, made while they are read.

    Args:
        addresses: In ``service_order``; anything with a length and an index.
        entity: Makes the row at an address.
        page: Entities per request.
        pause: Before every so many requests an empty page is returned that is not the last; 0 for never.
    """

    def __init__(
        self,
        addresses: Sequence[RowKeys],
        entity: Callable[[RowKeys], dict[str, Any]],
        page: int = TABLE_PAGE,
        pause: int = 0,
    ) -> None:
        self._addresses = addresses
        self._entity = entity
        self._page = page
        self._pause = pause
        self.requests = 0

    def where(self, condition: Condition | None) -> TableReader:
        assert condition is None
        return self

    def point(self, address: RowKeys) -> Mapping[str, Any] | None:
        self.requests += 1
        position = bisect_left(self._addresses, service_order(address), key=service_order)
        found = position < len(self._addresses) and self._addresses[position] == address
        return self._entity(address) if found else None

    def pages(self, span: Span | None = None, first_page: int = TABLE_PAGE) -> Iterator[Entities]:
        assert span is not None
        first = RowKeys(span.first_partition, span.first_row or "")
        last = service_order(RowKeys(span.last_partition, span.last_row or ""))

        def belongs(address: RowKeys) -> bool:
            partition, row = service_order(address)
            return partition <= last[0] and (span.last_row is None or row <= last[1])

        position = bisect_left(self._addresses, service_order(first), key=service_order)
        while True:
            self.requests += 1
            if self._pause and self.requests % self._pause == 0:
                yield []
                self.requests += 1
            page: Entities = []
            while len(page) < self._page and position < len(self._addresses):
                address = self._addresses[position]
                if not belongs(address):
                    break
                page.append(self._entity(address))
                position += 1
            yield page
            if position >= len(self._addresses) or not belongs(self._addresses[position]):
                return


_ROW = to_entity(record())


def row_of(name: str) -> dict[str, Any]:
    partition_key, row_key = image_keys("incoming", name)
    return _ROW | {"PartitionKey": partition_key, "RowKey": row_key, "blob_name": name}


def table_of(names: Iterable[str], page: int = TABLE_PAGE, pause: int = 0) -> FakeTable:
    """A table with a row for each of these images."""
    by_address = {image_keys("incoming", name): name for name in names}
    return FakeTable(sorted(by_address, key=service_order), lambda key: row_of(by_address[key]), page, pause)
