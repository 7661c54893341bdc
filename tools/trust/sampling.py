"""Draws a random sample of classified images, stratified by label and score.

A stratum is one label and one band of scores. Each label gets about the same number of images; within a label every
band gets its share of them, rounded up, so no reviewed image stands for more than its part of the label
(proportional allocation; Cochran, Sampling Techniques, 3rd edition, 1977, chapter 5).
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import Counter, defaultdict
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from storage.etags import bare_etag
from storage.results.record import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from storage.results.record import Record

BANDS = (0.5, 0.8, 0.95)
"""Where a band of scores ends and the next begins: 0 to 0.5, 0.5 to 0.8, 0.8 to 0.95, and 0.95 to 1."""


class Stratum(NamedTuple):
    """One label and one band of scores.

    Attributes:
        label: The label of the row.
        band: The position of the band, 0 for the lowest scores, at most ``len(BANDS)``.
    """

    label: str
    band: int


class Sample(NamedTuple):
    """A random sample.

    Attributes:
        records: The images, in random order: a review that ends early is a smaller random sample.
        sizes: How many images each stratum holds, drawn or not.
    """

    records: list[Record]
    sizes: Mapping[Stratum, int]

    @property
    def images(self) -> int:
        """How many images the strata hold together."""
        return sum(self.sizes.values())


def stratum_of(label: str, score: float) -> Stratum:
    """The stratum of an image by its label and its score in [0, 1]."""
    return Stratum(label, bisect_right(BANDS, score))


class StratifiedSample:
    """Draws a sample of a stream of any length, at random and without replacement. Not thread-safe.

    Each image has a rank, a keyed hash of its name and ETag, and a stratum keeps its lowest ranks (bottom-k sampling;
    Cohen and Kaplan, Summarizing data using bottom-k sketches, PODC 2007). So the same seed gives the same sample, in
    every order of the rows, and a larger sample holds the smaller one. Memory: at most ``per_label`` records for each
    stratum.

    Args:
        per_label: Images of each label, at least 1; a few more where bands are rounded up, and all images of a label
            that has fewer.
        seed: Decides which images are drawn.
    """

    def __init__(self, per_label: int, seed: int) -> None:
        self._per_label, self._seed = per_label, seed
        self._sizes: Counter[Stratum] = Counter()
        self._kept: defaultdict[Stratum, list[_Entry]] = defaultdict(list)  # heaps, the highest rank first

    def add(self, record: Record) -> None:
        """Add a row of the results table, or leave it out; rows without a label or a score do not count."""
        if record.status is not Status.CLASSIFIED or record.label is None or record.score is None:
            return
        stratum = stratum_of(record.label, record.score)
        self._sizes[stratum] += 1
        heap, entry = self._kept[stratum], (-_rank(record, self._seed), record.blob_name, record)
        if len(heap) < self._per_label:
            heapq.heappush(heap, entry)
        elif entry[:2] > heap[0][:2]:
            heapq.heapreplace(heap, entry)

    def drawn(self) -> Sample:
        """The sample of the rows added so far."""
        images = Counter[str]()
        for stratum, size in self._sizes.items():
            images[stratum.label] += size
        chosen: list[Record] = []
        for stratum, heap in self._kept.items():
            share = -(-self._per_label * self._sizes[stratum] // images[stratum.label])
            chosen += (entry[2] for entry in heapq.nlargest(share, heap, key=lambda entry: entry[:2]))
        # By ranks of another seed: those that decided the draw are lower in a large stratum, which would come first.
        chosen.sort(key=lambda record: (_rank(record, ~self._seed), record.blob_name))
        return Sample(chosen, self._sizes)


def draw(records: Iterable[Record], per_label: int, seed: int) -> Sample:
    """Draw a sample of some rows: see ``StratifiedSample``."""
    sample = StratifiedSample(per_label, seed)
    for record in records:
        sample.add(record)
    return sample.drawn()


_Entry = tuple[int, str, "Record"]


def _rank(record: Record, seed: int) -> int:
    """A number in [0, 2^64) that depends on nothing that a model or a person knows of the image."""
    text = f"{seed}\n{record.container}/{record.blob_name}\n{bare_etag(record.etag)}"
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
