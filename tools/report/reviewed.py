"""Sums of the reviews for the report, and the images on which reviewers and model differ, the surest answers first.

Memory grows with the number of different pairs of labels, and by ``MAX_EXAMPLES`` results.
"""

from __future__ import annotations

import base64
import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.reviews.join import ReviewedRow
    from tools.report.thumbnails import MissingThumbnail

MAX_EXAMPLES = 100
_MAX_PAIRS = 30


@dataclass(frozen=True, slots=True)
class LabelPair:
    """How often reviewers gave one label to images that have another."""

    label: str
    reviewed_label: str
    images: int


@dataclass(frozen=True, slots=True)
class Example:
    """An image on which the reviewers and the model differ.

    Attributes:
        row: The result with its reviews.
        picture: The thumbnail as a data URI, which is markup, or the reason that there is none.
    """

    row: ReviewedRow
    picture: str


@dataclass(slots=True)
class ReviewSums:
    """The numbers of the section. Not thread-safe.

    Attributes:
        agreed: Images whose newest review gives the row's label.
        corrected: Images whose newest review gives another label.
        unsure: Images whose newest reviewer is unsure.
        disputed: Images to which reviewers give several labels; they are counted above too.
        pictures: Data URIs or reasons, one for each of ``examples``.
    """

    agreed: int = 0
    corrected: int = 0
    unsure: int = 0
    disputed: int = 0
    pictures: Sequence[str] = ()
    _pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    _differing: list[tuple[float, int, ReviewedRow]] = field(default_factory=list)
    _number: int = 0

    @property
    def reviewed(self) -> int:
        """Images with a review."""
        return self.agreed + self.corrected + self.unsure

    def add(self, row: ReviewedRow) -> None:
        """Add one result; one without a review changes nothing."""
        if row.newest is None:
            return
        self.disputed += row.is_disputed
        if not row.is_human:
            self.unsure += 1
        elif row.label == row.record.label:
            self.agreed += 1
        else:
            self.corrected += 1
            self._pairs[row.record.label or "", row.label or ""] += 1
        if row.disagrees:
            self._number += 1  # of two with one score, the first is kept
            entry = (row.record.score or 0.0, -self._number, row)
            keep = heapq.heappush if len(self._differing) < MAX_EXAMPLES else heapq.heappushpop
            keep(self._differing, entry)

    @property
    def differing(self) -> list[ReviewedRow]:
        """The rows of the examples, highest score first."""
        return [row for _, _, row in sorted(self._differing, reverse=True)]

    @property
    def differing_images(self) -> int:
        """How many images there are on which reviewers and model, or several reviewers, differ."""
        return self._number

    @property
    def pairs(self) -> list[LabelPair]:
        """The most frequent corrections."""
        ranked = sorted(self._pairs.items(), key=lambda item: (-item[1], item[0]))
        return [LabelPair(*labels, images) for labels, images in ranked[:_MAX_PAIRS]]

    @property
    def unlisted_pairs(self) -> int:
        """How many pairs of labels ``pairs`` leaves out."""
        return max(0, len(self._pairs) - _MAX_PAIRS)

    @property
    def examples(self) -> list[Example]:
        """The images to show, with their pictures."""
        return [Example(row, picture) for row, picture in zip(self.differing, self.pictures, strict=True)]


def data_uri(thumbnail: bytes | MissingThumbnail) -> str:
    """The thumbnail for ``img``, or the reason that there is none."""
    if isinstance(thumbnail, str):
        return str(thumbnail)
    return Markup("data:image/webp;base64,{}").format(base64.b64encode(thumbnail).decode())
