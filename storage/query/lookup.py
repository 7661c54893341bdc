"""Rows at many addresses at once, in few requests where they lie close together, and side by side where they do not.

The index names rows in order of time; in the results table they may be neighbours (a folder that was uploaded in one
go) or anywhere. Neither is known beforehand, so it is tried: addresses that sort together are read as a range, in which
storage itself picks the rows by their columns. Where it must look at too many for that, it says so with pages that are
not full; from then on rows are read point by point, on many threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self

from storage.keys import RowKeys
from storage.query.join import readable
from storage.tables import PAGE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from storage.results.record import Record
    from storage.table_reader import Condition, TableReader

_THREADS = 16
_RUN = 500  # addresses that one thread looks for in one range
_WORTH_A_RANGE = 8  # fewer are read one by one
_SHORT_PAGES = 2  # of one range; a page may also be short where a table's parts meet


class Lookup:
    """Reads rows of the results table by address. For one thread; a context manager that ends its own threads.

    Args:
        rows: The results table.
    """

    def __init__(self, rows: TableReader) -> None:
        self._rows = rows
        self._apart = False
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lookup")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)  # whoever stops early does not wait for answers

    def records(self, addresses: Collection[RowKeys], condition: Condition) -> dict[RowKeys, Record]:
        """Read the rows at these addresses. Those without a row, or with one that is not ours, are left out.

        Args:
            addresses: Where.
            condition: What nearly all of these rows fulfil, and few others do.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused.
        """
        found: dict[RowKeys, Mapping[str, Any]] = {}
        if not self._apart:
            rows = self._rows.where(condition)
            for part in self._pool.map(lambda run: self._sweep(rows, run), _runs(sorted(set(addresses)))):
                found |= part
        # Whatever a range did not show is asked for by name, so that nothing rests on how a service sorts its keys.
        missing = [address for address in addresses if address not in found]
        for address, entity in zip(missing, self._pool.map(self._rows.point, missing), strict=True):
            if entity is not None:
                found[address] = entity
        records = ((address, readable(entity)) for address, entity in found.items())
        return {address: record for address, record in records if record is not None}

    def _sweep(self, rows: TableReader, run: Sequence[RowKeys]) -> dict[RowKeys, Mapping[str, Any]]:
        """Read a range from the first address to the last, for as long as storage does not labour over it."""
        found: dict[RowKeys, Mapping[str, Any]] = {}
        first, last = run[0], run[-1]
        wanted = set(run)
        if first.partition_key == last.partition_key:
            pages = rows.within(first.partition_key, first.row_key, last.row_key)
        else:
            pages = rows.across(first.partition_key, last.partition_key)
        short = 0
        for page in pages:
            for entity in page:
                address = RowKeys(entity["PartitionKey"], entity["RowKey"])
                if address in wanted:
                    found[address] = entity
            short += len(page) < PAGE
            if len(found) == len(run) or short > _SHORT_PAGES:
                break
        if len(found) < len(run) // 2:
            self._apart = True
        return found


def _runs(addresses: Iterable[RowKeys]) -> Iterator[Sequence[RowKeys]]:
    """Cut sorted addresses into runs worth reading as a range: of one partition, or of several small ones."""
    small: list[RowKeys] = []
    for _, members in groupby(addresses, key=lambda address: address.partition_key):
        of_folder = list(members)
        if len(of_folder) < _WORTH_A_RANGE:
            small += of_folder
            if len(small) < _RUN:
                continue
            of_folder, small = small, []
        for start in range(0, len(of_folder), _RUN):
            run = of_folder[start : start + _RUN]
            if len(run) >= _WORTH_A_RANGE:
                yield run
    if len(small) >= _WORTH_A_RANGE:
        yield small
