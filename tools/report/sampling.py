"""Samples rows evenly from strata, such as labels: an equal number of each, as far as each has that many.

A rare label is kept whole while a common one is sampled. Within a stratum the sample is pseudo-random, and the same in
every run with the same seed.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.results.record import Image, Record

S = TypeVar("S")


class EvenSample(Generic[S]):
    """Keeps at most ``max_records`` records of a stream of any length. Not thread-safe.

    Each record has a rank, a hash of its image's name. A stratum keeps its lowest ranks (bottom-k sampling). When the
    sample is full, the stratum with the most records drops its highest rank and accepts no higher one afterwards. How
    many a stratum keeps depends on the sizes of the strata, so each of its images is as likely as any other.

    Args:
        max_records: In all strata together.
        stratum_of: The stratum of a record.
        max_each: In each stratum; by default no limit.
        seed: Decides the ranks.

    Attributes:
        rows: How many records of each stratum were added.
    """

    def __init__(
        self, max_records: int, stratum_of: Callable[[Record], S], *, max_each: int | None = None, seed: int = 0
    ) -> None:
        self._max_records = max_records
        self._max_each = max_records if max_each is None else max_each
        self._stratum_of = stratum_of
        self._seed = seed
        self._kept: defaultdict[S, list[tuple[int, int, Record]]] = defaultdict(list)  # heaps, highest rank first
        self._arrivals = count()  # breaks ties between equal ranks, so that records are never compared
        self._max_ranks: dict[S, int] = {}
        self._size = 0
        self.rows: Counter[S] = Counter()

    def add(self, record: Record) -> None:
        """Add one record, or leave it out."""
        stratum = self._stratum_of(record)
        self.rows[stratum] += 1
        rank = rank_of(record.image, self._seed)
        if rank >= self._max_ranks.get(stratum, 1 << 64):
            return
        kept = self._kept[stratum]
        heapq.heappush(kept, (-rank, next(self._arrivals), record))
        self._size += 1
        if len(kept) > self._max_each:
            self._drop_highest(stratum)
        elif self._size > self._max_records:
            self._drop_highest(max(self._kept, key=lambda each: len(self._kept[each])))

    def records(self) -> list[Record]:
        """Return the sample by stratum, each by rank: every n-th record of a stratum is an even sample of it again."""
        return [
            record
            for stratum in sorted(self._kept, key=str)
            for _, _, record in sorted(self._kept[stratum], reverse=True)
        ]

    def _drop_highest(self, stratum: S) -> None:
        negative_rank, _, _ = heapq.heappop(self._kept[stratum])
        self._max_ranks[stratum] = -negative_rank
        self._size -= 1


def by_label(record: Record) -> str:
    """The label of a record as its stratum."""
    return record.label or ""


def rank_of(image: Image, seed: int) -> int:
    """A pseudo-random number in [0, 2**64) that an image has with a seed."""
    name = str(image).encode("utf-8", "surrogatepass")
    key = b"" if seed == 0 else seed.to_bytes(16, signed=True)
    return int.from_bytes(blake2b(name, digest_size=8, key=key).digest())
