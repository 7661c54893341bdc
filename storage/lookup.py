"""Rows at many addresses at once, in few requests where they lie close together, and side by side where they do not.

The index names rows in order of time; in the results table they may be neighbours (a folder that was uploaded in one
go) or anywhere. Neither is known beforehand, so it is tried: addresses that sort together are read as a range for as
long as its pages are worth their weight, and what is left is read point by point, on many threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self

from storage.comparison import readable
from storage.keys import RowKeys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from storage.records import Record
    from storage.table_reader import TableReader

_THREADS = 16
_RUN = 250  # addresses that one thread looks for in one range
# Below so many a range is not worth trying. A page brings up to 1,000 rows.
_WORTH_A_PAGE = 25
# One request costs us about as much as this many rows of a page (measured: 2.1 ms of CPU against 0.11 ms).
_ROWS_PER_REQUEST = 20


class Lookup:
    """Reads rows of the results table by address. For one thread; a context manager that ends its own threads.

    Args:
        rows: The results table, without conditions.
    """

    def __init__(self, rows: TableReader) -> None:
        self._rows = rows
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lookup")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)  # whoever stops early does not wait for answers

    def records(self, addresses: Collection[RowKeys]) -> dict[RowKeys, Record]:
        """Read the rows at these addresses. Those without a row, or with one that is not ours, are left out.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused.
        """
        found: dict[RowKeys, Mapping[str, Any]] = {}
        for part in self._pool.map(self._sweep, _runs(sorted(set(addresses)))):
            found |= part
        # Whatever a range did not show is asked for by name, so that nothing rests on how a service sorts its keys.
        missing = [address for address in addresses if address not in found]
        for address, entity in zip(missing, self._pool.map(self._rows.point, missing), strict=True):
            if entity is not None:
                found[address] = entity
        records = ((address, readable(entity)) for address, entity in found.items())
        return {address: record for address, record in records if record is not None}

    def _sweep(self, run: Sequence[RowKeys]) -> dict[RowKeys, Mapping[str, Any]]:
        """Read a range from the first address to the last, for as long as it brings enough of them."""
        found: dict[RowKeys, Mapping[str, Any]] = {}
        first, last = run[0], run[-1]
        wanted = set(run)
        if first.partition_key == last.partition_key:
            pages = self._rows.within(first.partition_key, first.row_key, last.row_key)
        else:
            pages = self._rows.across(first.partition_key, last.partition_key)
        for page in pages:
            before = len(found)
            for entity in page:
                address = RowKeys(entity["PartitionKey"], entity["RowKey"])
                if address in wanted:
                    found[address] = entity
            if len(found) == len(run) or (len(found) - before) * _ROWS_PER_REQUEST < len(page):
                break
        return found


def _runs(addresses: Iterable[RowKeys]) -> Iterator[Sequence[RowKeys]]:
    """Cut sorted addresses into runs worth reading as a range: of one partition, or of several small ones."""
    small: list[RowKeys] = []
    for _, members in groupby(addresses, key=lambda address: address.partition_key):
        of_folder = list(members)
        if len(of_folder) < _WORTH_A_PAGE:
            small += of_folder
            if len(small) < _RUN:
                continue
            of_folder, small = small, []
        for start in range(0, len(of_folder), _RUN):
            run = of_folder[start : start + _RUN]
            if len(run) >= _WORTH_A_PAGE:
                yield run
    if len(small) >= _WORTH_A_PAGE:
        yield small
