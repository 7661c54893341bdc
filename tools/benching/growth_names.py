"""A container and a table of any size that take no room: what is listed and read is made up as it is asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from storage.keys import image_keys
from storage.listing import Listed
from storage.settle import Desk
from tools.backfilling.selection import Selection
from tools.processes import resident

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_CONTAINER, _VERSION = "incoming", "0123456789ab"
_LISTING, _PAGE, _FOLDER = 5000, 1000, 1000
_MIB = 1024 * 1024


def plan_in_memory(size: int) -> dict[str, Any]:
    """Plan a backfill of ``size`` names, of which every other one is done.

    Returns:
        CPU milliseconds for all of it, and by how many MiB this process grew while it went on, after its first page.
    """
    place = _Place(size)
    desk = Desk(cast("Any", place), cast("Any", place), now=lambda: _NOON)
    began, to_do, first, most = time.process_time(), 0, 0.0, 0.0
    for number, found in enumerate(Selection(desk, _CONTAINER, _VERSION)):
        to_do += found.why is not None
        if number % _LISTING == _LISTING - 1:
            first = first or resident().now_mib
            most = max(most, resident().now_mib)
    if to_do != size // 2:
        raise RuntimeError(f"{to_do} of {size} names were to do: the planning is wrong")
    cpu_ms = (time.process_time() - began) * 1000
    return {"names": size, "cpu_ms": round(cpu_ms), "grew_mib": round(most - first, 1)}


@dataclass(frozen=True, slots=True)
class _Place:
    size: int

    def pages(self, _container: str, *, prefix: str | None = None) -> Iterator[list[Listed]]:
        del prefix
        for start in range(0, self.size, _LISTING):
            yield [
                Listed(_name(number), "0x1", _NOON, 1000) for number in range(start, min(start + _LISTING, self.size))
            ]

    def row_ranges(self, _select: Sequence[str]) -> _Place:
        return self

    def across(self, first: str, last: str) -> Iterator[list[Mapping[str, Any]]]:
        start, end = _number(first) * _FOLDER, (_number(last) + 1) * _FOLDER
        return self._rows(start, end)

    def within(self, partition_key: str, first: str, last: str) -> Iterator[list[Mapping[str, Any]]]:
        del partition_key
        return self._rows(_number(first.partition(".")[0]), _number(last.partition(".")[0]) + 1)

    def _rows(self, start: int, end: int) -> Iterator[list[Mapping[str, Any]]]:
        done = range(start + start % 2, min(end, self.size), 2)
        for at in range(0, len(done), _PAGE):
            yield [_row(number) for number in done[at : at + _PAGE]]


def _name(number: int) -> str:
    return f"folder {number // _FOLDER:06}/{number:09}.jpg"


def _number(key: str) -> int:
    """The number a key ends with."""
    return int(key[-9:].rpartition(" ")[2])


def _row(number: int) -> Mapping[str, Any]:
    name = _name(number)
    address = image_keys(_CONTAINER, name)
    return {
        "PartitionKey": address.partition_key,
        "RowKey": address.row_key,
        "container": _CONTAINER,
        "blob_name": name,
        "status": "classified",
        "etag": "0x1",
        "model": "growth",
        "model_version": _VERSION,
        "classified_at": _NOON,
        "sidecar": f"results/{name}.json",
        "label": "cat",
        "score": 0.75,
    }
