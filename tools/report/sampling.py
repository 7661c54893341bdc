"""Which images a bounded gallery shows: as many of each label as of any other, as far as there are that many.

A rare label is shown whole while a common one is thinned, and within a label chance decides, the same at every run.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.results.record import Record


class EvenSample:
    """Keeps at most ``most`` records of a stream of any length. Not thread-safe.

    Each record draws a lot from its name. A label keeps its lowest lots; where the sample is full, the label that has
    the most gives up its highest one, and takes none above that again.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: defaultdict[str, list[tuple[int, int, Record]]] = defaultdict(list)  # heaps, the highest lot first
        self._arrivals = count()  # decides between equal lots: an image that was seen twice
        self._ceilings: dict[str, int] = {}
        self._size = 0

    def add(self, record: Record) -> None:
        """Consider one record."""
        label = record.label or ""
        lot = int.from_bytes(blake2b(str(record.image).encode("utf-8", "surrogatepass"), digest_size=8).digest())
        if lot >= self._ceilings.get(label, 1 << 64):
            return
        heapq.heappush(self._kept[label], (-lot, next(self._arrivals), record))
        self._size += 1
        if self._size > self._most:
            fullest = max(self._kept, key=lambda each: len(self._kept[each]))
            highest, _, _ = heapq.heappop(self._kept[fullest])
            self._ceilings[fullest] = -highest
            self._size -= 1

    def records(self) -> list[Record]:
        """What was kept, by label, within a label as chance has it: every n-th of them is an even sample again."""
        return [record for label in sorted(self._kept) for _, _, record in sorted(self._kept[label], reverse=True)]
