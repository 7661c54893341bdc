"""Populations whose truth is known, and random samples of them: an allocation written apart from the tool's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tools.trust.tally import Review, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

BAND_EDGES = np.array([0.5, 0.8, 0.95])


@dataclass(frozen=True)
class Images:
    """All images of one label.

    Attributes:
        scores: Their scores.
        truth: Their true labels, as positions in the population's names.
    """

    scores: NDArray[np.float64]
    truth: NDArray[np.int64]

    @cached_property
    def bands(self) -> list[NDArray[np.intp]]:
        """Positions of the images of each band."""
        band = np.searchsorted(BAND_EDGES, self.scores, side="right")
        return [np.flatnonzero(band == each) for each in range(4)]


class Population:
    """Images by label."""

    def __init__(self, images: Mapping[str, Images]) -> None:
        self.names = list(images)
        self.images = images

    def precision(self, label: str, threshold: float = 0.0) -> float:
        images = self.images[label]
        return float((images.truth == self.names.index(label))[images.scores >= threshold].mean())

    def overall_precision(self) -> float:
        right = sum((images.truth == self.names.index(label)).sum() for label, images in self.images.items())
        return float(right) / sum(len(images.scores) for images in self.images.values())

    def true_count(self, label: str) -> int:
        return sum(int((images.truth == self.names.index(label)).sum()) for images in self.images.values())

    def tally(self) -> Tally:
        tally = Tally()
        for label, images in self.images.items():
            for score, count in zip(*np.unique(images.scores, return_counts=True), strict=True):
                tally.add(label, float(score), int(count))
        return tally

    def review(
        self, tally: Tally, per_label: Mapping[str, int], rng: np.random.Generator, *, even: bool = False
    ) -> None:
        """Replace the tally's reviews by those of a new sample.

        Each band gets its share, rounded up; or, ``even``, the same number, so the reviews have very unequal weights.
        """
        tally.reviews.clear()
        tally._reviewed.clear()
        tally._answers.clear()
        for label, images in self.images.items():
            for members in images.bands:
                share = 1 / 4 if even else len(members) / len(images.scores)
                size = min(len(members), int(np.ceil(per_label[label] * share)))
                drawn = rng.choice(members, size, replace=False)
                for score, truth in zip(images.scores[drawn].tolist(), images.truth[drawn].tolist(), strict=True):
                    tally.add_review(Review(label, score, self.names[truth]))


def population(
    rng: np.random.Generator,
    sizes: Mapping[str, int],
    error: Callable[[str, NDArray[np.float64]], NDArray[np.float64]],
) -> Population:
    """Images with scores near 1 mostly, rounded to a ten-thousandth; an error has any other label as its truth."""
    names = list(sizes)
    images = {}
    for position, (label, size) in enumerate(sizes.items()):
        scores = np.round(rng.beta(4, 0.6, size), 4)
        wrong = rng.random(size) < error(label, scores)
        others = (position + rng.integers(1, len(names), size)) % len(names)
        images[label] = Images(scores, np.where(wrong, others, position))
    return Population(images)
