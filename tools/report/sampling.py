"""Samples images for the gallery: an equal number per label, as far as each label has that many.

A rare label is kept whole while a common one is sampled. Within a label the sample is pseudo-random, and the same in
every run.
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
    """Keeps at most ``max_records`` records of a stream of any length. Not thread-safe.

    Each record has a rank, a hash of its image's name. A label keeps its lowest ranks (bottom-k sampling). When the
    sample is full, the label with the most records drops its highest rank and accepts no higher one afterwards.
    """

    def __init__(self, max_records: int) -> None:
        self._max_records = max_records
        self._kept: defaultdict[str, list[tuple[int, int, Record]]] = defaultdict(list)  # heaps, highest rank first
        self._arrivals = count()  # breaks ties between equal ranks, so that records are never compared
        self._max_ranks: dict[str, int] = {}
        self._size = 0

    def add(self, record: Record) -> None:
        """Add one record, or leave it out."""
        label = record.label or ""
        rank = int.from_bytes(blake2b(str(record.image).encode("utf-8", "surrogatepass"), digest_size=8).digest())
        if rank >= self._max_ranks.get(label, 1 << 64):
            return
        heapq.heappush(self._kept[label], (-rank, next(self._arrivals), record))
        self._size += 1
        if self._size > self._max_records:
            largest = max(self._kept, key=lambda each: len(self._kept[each]))
            negative_rank, _, _ = heapq.heappop(self._kept[largest])
            self._max_ranks[largest] = -negative_rank
            self._size -= 1

    def records(self) -> list[Record]:
        """Return the sample by label, within a label by rank: every n-th record of it is an even sample again."""
        return [record for label in sorted(self._kept) for _, _, record in sorted(self._kept[label], reverse=True)]
