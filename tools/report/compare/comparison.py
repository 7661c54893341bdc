"""Counts how two models agree, and keeps the images on which they differ, the least sure first.

Memory grows with the number of different pairs of labels, and by ``MAX_EXAMPLES`` images.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inference.predictions import ModelIdentity
    from tools.report.compare.sources import Pair

MAX_EXAMPLES = 60
"""Images on which two models differ that are kept."""
MATRIX_LABELS = 12
"""Labels with a row and a column of their own; the others are joined."""
MAX_DIFFERENCES = 15
OTHERS = "other labels"


class Difference(NamedTuple):
    """How often one model gives ``first`` where the other gives ``other``."""

    first: str
    other: str
    images: int


@dataclass(slots=True)
class Comparison:
    """Two models on the same images. Not thread-safe.

    Attributes:
        first: Names and versions of the first model, by images.
        other: The same of the other model.
        images: Images that both answered.
        agreed: Images with one label.
        reviewed: Images of these for which a reviewer named a label.
        first_right: Images where they differ and the reviewer names the first model's label.
        other_right: Images where they differ and the reviewer names the other model's label.
        neither_right: Images where they differ and the reviewer names a third label.
        both_right: Images where they agree with the reviewer.
    """

    first: Counter[ModelIdentity] = field(default_factory=Counter)
    other: Counter[ModelIdentity] = field(default_factory=Counter)
    images: int = 0
    agreed: int = 0
    reviewed: int = 0
    first_right: int = 0
    other_right: int = 0
    neither_right: int = 0
    both_right: int = 0
    _pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    _differing: list[tuple[float, int, Pair]] = field(default_factory=list)

    def add(self, pair: Pair) -> None:
        """Count two answers."""
        self.images += 1
        self.first[pair.first.model] += 1
        self.other[pair.other.model] += 1
        labels = pair.first.label, pair.other.label
        self._pairs[labels] += 1
        agree = labels[0] == labels[1]
        self.agreed += agree
        if pair.row.is_human:
            self.reviewed += 1
            self._add_review(pair, agree=agree)
        if not agree:
            entry = (-min(pair.first.score, pair.other.score), -self.images, pair)  # of equal scores, the first is kept
            keep = heapq.heappush if len(self._differing) < MAX_EXAMPLES else heapq.heappushpop
            keep(self._differing, entry)

    def _add_review(self, pair: Pair, *, agree: bool) -> None:
        truth = pair.row.label
        if agree:
            self.both_right += truth == pair.first.label
        elif truth == pair.first.label:
            self.first_right += 1
        elif truth == pair.other.label:
            self.other_right += 1
        else:
            self.neither_right += 1

    def to_json(self) -> dict[str, Any]:
        """The models, by images, and the numbers."""
        numbers = ("images", "agreed", "reviewed", "both_right", "first_right", "other_right", "neither_right")
        return {
            "first": [f"{model.name} {model.version}" for model, _ in self.first.most_common()],
            "other": [f"{model.name} {model.version}" for model, _ in self.other.most_common()],
            **{name: getattr(self, name) for name in numbers},
        }

    @property
    def differing(self) -> list[Pair]:
        """The pairs that are kept, the lowest score of any of the two first."""
        return [pair for _, _, pair in sorted(self._differing, reverse=True)]

    @property
    def differences(self) -> list[Difference]:
        """The most frequent pairs of different labels."""
        pairs = [(first, other, images) for (first, other), images in self._pairs.items() if first != other]
        return [Difference(*each) for each in sorted(pairs, key=lambda each: (-each[2], each))[:MAX_DIFFERENCES]]

    @property
    def unlisted(self) -> int:
        """How many different pairs of labels ``differences`` leaves out."""
        return max(0, sum(first != other for first, other in self._pairs) - MAX_DIFFERENCES)

    @property
    def matrix_labels(self) -> list[str]:
        """The most frequent labels of both models, and ``OTHERS`` where there are more."""
        totals: Counter[str] = Counter()
        for labels, images in self._pairs.items():
            for label in labels:
                totals[label] += images
        ranked = sorted(totals, key=lambda label: (-totals[label], label))
        return ranked[:MATRIX_LABELS] + ([OTHERS] if len(ranked) > MATRIX_LABELS else [])

    @property
    def matrix(self) -> list[list[int]]:
        """Images by the first model's label (rows) and the other's (columns), in the order of ``matrix_labels``."""
        labels = self.matrix_labels
        place = {label: number for number, label in enumerate(labels[:MATRIX_LABELS])}
        last = len(labels) - 1
        cells = [[0] * len(labels) for _ in labels]
        for (first, other), images in self._pairs.items():
            cells[place.get(first, last)][place.get(other, last)] += images
        return cells

    @property
    def chance(self) -> float | None:
        """The probability that two equally good models differ as much by the reviews: a sign test, two-sided.

        ``None`` without a reviewed image on which one of them is right and the other wrong. Source: Dixon and Mood,
        Journal of the American Statistical Association 41, 1946; the exact form of McNemar's test.
        """
        decided = self.first_right + self.other_right
        if not decided:
            return None
        fewer = min(self.first_right, self.other_right)
        return min(1.0, 2 * sum(math.comb(decided, count) for count in range(fewer + 1)) / (1 << decided))


def compare(pairs: Iterable[Pair]) -> list[Comparison]:
    """Compare the first model with each other one, in the order in which they come.

    Two versions of one model are two models. The first model may have several versions: its rows are those that stand.
    """
    found: dict[ModelIdentity, Comparison] = {}
    for pair in pairs:
        found.setdefault(pair.other.model, Comparison()).add(pair)
    return sorted(found.values(), key=lambda each: -each.images)
