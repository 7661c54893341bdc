"""The numbers that estimates need: how many images have each label and score, and the reviews of the random sample."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tools.trust.intervals import Part
from tools.trust.sampling import stratum_of

if TYPE_CHECKING:
    from collections.abc import Iterator

EDGES = (*(number / 100 for number in range(100)), *(number / 1000 for number in range(991, 1000)))
"""The thresholds that can be chosen: every hundredth, and every thousandth above 0.99, where sure models put most."""


class Review(NamedTuple):
    """One reviewed image of the random sample.

    Attributes:
        label: The label of its row.
        score: The score of its row, in [0, 1].
        answer: The label that the reviewer gave; ``None`` where the reviewer was unsure.
    """

    label: str
    score: float
    answer: str | None

    @property
    def right(self) -> bool:
        """Whether the reviewer confirms the label: an unsure answer does not."""
        return self.answer == self.label


class Cut(NamedTuple):
    """The images of one label from a threshold on.

    Attributes:
        threshold: One of ``EDGES``.
        images: How many images have this score or a higher one.
        parts: Their strata, with their reviews.
    """

    threshold: float
    images: int
    parts: list[Part]


class Tally:
    """Counts images by label and score, and keeps the reviews. Not thread-safe.

    Memory grows with the number of labels and reviews, not with the number of images.

    Attributes:
        images: How many images each label has.
        reviews: The reviews of each label.
    """

    def __init__(self) -> None:
        self.images: Counter[str] = Counter()
        self.reviews: defaultdict[str, list[Review]] = defaultdict(list)
        self._bands: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._reviewed: defaultdict[str, Counter[int]] = defaultdict(Counter)  # by band
        self._answers: defaultdict[str, Counter[tuple[int, str | None]]] = defaultdict(Counter)  # by band and answer
        self._scores: defaultdict[str, Counter[tuple[int, int]]] = defaultdict(Counter)  # by position in EDGES, band

    def add(self, label: str, score: float, images: int = 1) -> None:
        """Count images of one label and score."""
        band = stratum_of(label, score).band
        self.images[label] += images
        self._bands[label][band] += images
        self._scores[label][bisect_right(EDGES, score) - 1, band] += images

    def add_review(self, review: Review) -> None:
        """Add a reviewed image, which ``add`` counts too."""
        band = stratum_of(review.label, review.score).band
        self.reviews[review.label].append(review)
        self._reviewed[review.label][band] += 1
        self._answers[review.label][band, review.answer] += 1

    def parts(self, label: str, answer: str) -> list[Part]:
        """The strata of the images that have a label; reviews with this answer are hits."""
        reviewed, answers = self._reviewed[label], self._answers[label]
        return [Part(size, reviewed[band], answers[band, answer]) for band, size in self._bands[label].items()]

    def cuts(self, label: str) -> Iterator[Cut]:
        """Cut one label at each of ``EDGES`` above which there are further reviews, the highest first.

        Reviews that confirm the label are hits.

        A reviewed image stands for as many images as its whole stratum has per review. So the size of a stratum that
        the threshold cuts is estimated from its reviews (Särndal, Swensson and Wretman, Model Assisted Survey Sampling,
        1992, chapter 10); of a stratum without reviews the images are counted.
        """
        remaining = sorted(self.reviews.get(label, ()), key=lambda review: review.score)
        reviewed = self._reviewed[label]
        passing, hits, images = Counter[int](), Counter[int](), Counter[int]()
        counts = sorted(self._scores[label].items())
        for position, threshold in reversed(list(enumerate(EDGES))):
            if not remaining:
                return
            if remaining[-1].score < threshold:
                continue
            while counts and counts[-1][0][0] >= position:
                (_, band), count = counts.pop()
                images[band] += count
            while remaining and remaining[-1].score >= threshold:
                review = remaining.pop()
                band = stratum_of(label, review.score).band
                passing[band] += 1
                hits[band] += review.right
            sizes = {
                band: size * passing[band] / reviewed[band] if reviewed[band] else images[band]
                for band, size in self._bands[label].items()
            }
            parts = [Part(size, passing[band], hits[band]) for band, size in sizes.items() if size]
            yield Cut(threshold, images.total(), parts)
