"""Prepares the report's section about two models: the counts, and the images on which they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.results.record import Image
    from tools.report.compare.comparison import Comparison
    from tools.report.compare.sources import Pair


class Example(NamedTuple):
    """An image on which two models differ; ``picture`` is a data URI, or the reason that there is none."""

    pair: Pair
    picture: str


class Compared(NamedTuple):
    """Two models, with the images to show."""

    comparison: Comparison
    examples: Sequence[Example]


def with_pictures(comparisons: Sequence[Comparison], pictures: Mapping[Image, str]) -> list[Compared]:
    """Add the pictures: a data URI as markup, or a reason, for every image on which two models differ."""
    return [
        Compared(
            each,
            [Example(pair, pictures[pair.row.record.image]) for pair in each.differing],
        )
        for each in comparisons
    ]
