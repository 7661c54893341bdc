"""Reads rows at many addresses in few requests, whether the rows lie close together or not.

Sorted addresses are read as key ranges, up to 1,000 rows per request. A row that a page passed without returning it
does not exist. Reading continues while pages return requested rows; after a page without any, it starts again at the
next requested address:

    requested   a1 a2 a3 .......... k7 k8        sorted addresses
    rows        a1 a3 b1 b2 c5 .... k7 k8        a2 has no row; the second request starts at k7

Without a condition that is at most two requests per address. With a condition the service itself filters the range.
When it has to scan too much for that, it returns pages that are not full. Addresses that a range did not return are
then read one by one, on several threads.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self

from storage.keys import RowKeys
from storage.results.serialization import from_any_entity
from storage.tables import PAGE, Span

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from storage.results.record import Record
    from storage.tables import Condition, TableReader

    Found = dict[RowKeys, Mapping[str, Any]]

_THREADS = 16
# With a condition: addresses that one thread reads as a range. Fewer than the minimum are read one by one.
_MAX_RUN = 500
_MIN_RUN = 8
_SHORT_PAGES = 2  # of one run; a page may also be short where two parts of a table meet
# Without a condition: when this many addresses in a row are in one partition, the range ends with the partition.
_PARTITION_RUN = 100
# Up to this character, code points, UTF-8 and UTF-16 sort alike, so every service agrees with Python about the order.
_LAST_SAFE = "\ud7ff"


class RowLookup:
    """Reads rows of the results table by address; a context manager that ends its own threads.

    ``records_one_by_one`` is thread-safe, ``records`` is not.

    Args:
        rows: The results table.
    """

    def __init__(self, rows: TableReader) -> None:
        self._rows = rows
        self._points_only = False
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lookup")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)  # a caller that stops early does not wait for responses

    def records(self, addresses: Collection[RowKeys], condition: Condition | None = None) -> dict[RowKeys, Record]:
        """Read the rows at these addresses. Addresses without a row of this app are left out.

        Memory grows with the number of addresses: pass one page at a time.

        Args:
            addresses: The keys of the rows.
            condition: What nearly all of these rows match and few others do. ``None`` where the rows are expected to
                lie close together.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        points = [address for address in addresses if max(address.partition_key + address.row_key) > _LAST_SAFE]
        ordered = sorted(set(addresses).difference(points))
        runs: list[list[RowKeys]] = []
        if condition is None:
            runs = [ordered]
        elif self._points_only:
            points += ordered
        else:
            for run in _runs(ordered):
                if len(run) < _MIN_RUN:
                    points += run
                else:
                    runs.append(run)
        found: Found = {}
        reader = self._rows.where(condition)
        max_short_pages = math.inf if condition is None else _SHORT_PAGES
        for run, part in zip(
            runs, self._pool.map(lambda run: _read_run(reader, run, max_short_pages), runs), strict=True
        ):
            found |= part
            if condition is not None:
                # Read by address what the range did not return: Azurite compares times as text, so it may leave out a
                # row that matches.
                points += [address for address in run if address not in part]
                self._points_only |= len(part) < len(run) // 2
        return _records(found | self._points(points))

    def records_one_by_one(self, addresses: Collection[RowKeys]) -> dict[RowKeys, Record]:
        """Read the rows at these addresses, a request for each, where they are expected to lie far apart.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        return _records(self._points(list(dict.fromkeys(addresses))))

    def _points(self, addresses: Sequence[RowKeys]) -> Found:
        entities = self._pool.map(self._rows.point, addresses)
        return {address: found for address, found in zip(addresses, entities, strict=True) if found is not None}


def _records(entities: Found) -> dict[RowKeys, Record]:
    records = ((address, from_any_entity(entity)) for address, entity in entities.items())
    return {address: record for address, record in records if record is not None}


def _read_run(rows: TableReader, run: Sequence[RowKeys], max_short_pages: float) -> Found:
    """Read sorted addresses as ranges, until every one is passed or too many pages are not full."""
    found: Found = {}
    requested = set(run)
    remaining = list(run)
    short_pages = 0
    read_to: RowKeys | None = None
    while remaining:
        span, end = _next_range(remaining, read_to)
        for page in rows.pages(span):
            useful = {address: entity for entity in page if (address := _address(entity)) in requested}
            found |= useful
            if page:
                read_to = _address(page[-1])
                del remaining[: bisect_right(remaining, read_to)]
            short_pages += len(page) < PAGE
            if short_pages > max_short_pages:
                return found
            if page and not (useful and remaining and remaining[0] <= end):
                break  # an empty page is different: it may be a pause of the service, with more to come
        else:
            del remaining[: bisect_right(remaining, end)]
    return found


def _next_range(ordered: Sequence[RowKeys], read_to: RowKeys | None) -> tuple[Span, RowKeys]:
    """The range to read next, and the last of the sorted addresses that it covers.

    A range of several partitions begins with a whole one, so it may return a page before its first address. A partition
    that is already read in part is therefore continued by row key.
    """
    first = ordered[0]
    partly_read = read_to is not None and read_to.partition_key == first.partition_key
    if partly_read or ordered[min(len(ordered) - 1, _PARTITION_RUN)].partition_key == first.partition_key:
        end = ordered[bisect_right(ordered, first.partition_key, key=_partition) - 1]
        return Span(first.partition_key, first.partition_key, first.row_key, end.row_key), end
    end = ordered[-1]
    return Span(first.partition_key, end.partition_key), end


def _runs(ordered: Iterable[RowKeys]) -> Iterator[list[RowKeys]]:
    """Cut sorted addresses into runs of one partition, or of several partitions with few addresses each."""
    small: list[RowKeys] = []
    for _, members in groupby(ordered, key=_partition):
        of_partition = list(members)
        if len(of_partition) >= _MIN_RUN:
            yield from (of_partition[start : start + _MAX_RUN] for start in range(0, len(of_partition), _MAX_RUN))
            continue
        small += of_partition
        if len(small) >= _MAX_RUN:
            yield small
            small = []
    yield small


def _partition(address: RowKeys) -> str:
    return address.partition_key


def _address(entity: Mapping[str, Any]) -> RowKeys:
    return RowKeys(entity["PartitionKey"], entity["RowKey"])
