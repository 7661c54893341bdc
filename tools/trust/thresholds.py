"""Chooses the lowest score from which on a label reaches a precision, with confidence although many are tried.

Fixed-sequence testing (Angelopoulos, Bates, Candès, Jordan and Lei, Learn then Test, arXiv 2110.01052, 2021; Maurer,
Hothorn and Lehmacher, 1995): thresholds are tested from the highest down, each with the full chance of error, and the
first that fails ends the sequence. The order and the start depend on the scores of the sample and not on its answers,
so the chance that a promise is wrong stays below ``1 - CONFIDENCE`` for each label.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tools.trust.intervals import effective_size, lower_limit, reviews_needed

if TYPE_CHECKING:
    from tools.trust.intervals import Part
    from tools.trust.tally import Tally

_MISSES_ALLOWED = (2, 1, 0)  # at the first threshold; one chance error there would end the sequence with nothing
_LEAST_GROWTH = 0.2  # of a sample that is large enough but had bad luck
_SHARE_AT_START = 2 / 3  # of the reviews at most, so that thresholds remain to be tested


class Promise(NamedTuple):
    """At ``threshold`` or more, at least the requested share of the images has the right label.

    Attributes:
        threshold: A score in [0, 1).
        passing: The share of the label's images that have this score or a higher one.
        reviewed: The reviews from the threshold on.
        right: How many of them confirm the label.
    """

    threshold: float
    passing: float
    reviewed: int
    right: int


def promise(tally: Tally, label: str, precision: float) -> Promise | None:
    """The lowest threshold that is proven for a label, or ``None``.

    Args:
        tally: Images and reviews.
        label: One of the tally's labels.
        precision: The share of right labels to reach, in (0, 1).

    Raises:
        ConfigurationError: scipy is not installed.
    """
    reviews = tally.reviews.get(label, [])
    if not reviews:
        return None
    complete = len(reviews) == tally.images[label]  # then chance decides nothing, and no threshold ends the sequence
    start = _first_size(effective_size(tally.parts(label, label)), precision)
    chosen = None
    for cut in tally.cuts(label):
        reviewed = sum(part.reviewed for part in cut.parts)
        right = sum(part.hits for part in cut.parts)
        if right < precision * cut.images:  # else it is certain: so many of all images above were reviewed
            if effective_size(cut.parts) < start or lower_limit(_all_right(cut.parts)) < precision:
                continue  # too few reviews above, for any answers
            if lower_limit(cut.parts) < precision:
                if complete:
                    continue
                break
        chosen = Promise(cut.threshold, cut.images / tally.images[label], reviewed, right)
    return chosen


def more_reviews(tally: Tally, label: str, precision: float) -> int | None:
    """About how many more random reviews a label needs before a threshold can be proven.

    It assumes that new reviews have the scores and the share of right labels of those there are, and that all are right
    where there are none. At most the images of the label that are not reviewed yet.

    Returns:
        A number of at least 0; ``None`` if no share of the reviews, taken from the highest score down, is as precise as
        requested: then more reviews are not expected to help.
    """
    reviews, images = len(tally.reviews.get(label, ())), tally.images[label]
    sizes: list[int] = []
    for cut in tally.cuts(label):
        reviewed = sum(part.reviewed for part in cut.parts)
        misses = reviewed - sum(part.hits for part in cut.parts)
        if misses < reviewed * (1 - precision):
            passing = reviewed / reviews
            limit = min(sizes, default=images)
            sizes.append(math.ceil(_sample_size(misses / reviewed, precision, limit * passing) / passing))
    least = reviews_needed(precision, 0)
    if not sizes and reviews >= least:
        return None
    return min(images - reviews, max(min(sizes, default=least) - reviews, math.ceil(reviews * _LEAST_GROWTH)))


def _sample_size(share: float, precision: float, limit: float) -> float:
    """About the smallest sample that proves a precision although this share of it is wrong; at most ``limit``."""
    misses, size = 0, reviews_needed(precision, 0)
    while size < limit and round(share * size) > misses:
        misses = max(misses + 1, round(misses * 1.02))
        size = reviews_needed(precision, misses)
    return min(size, limit)


def _all_right(parts: list[Part]) -> list[Part]:
    return [part._replace(hits=part.reviewed) for part in parts]


def _first_size(reviews: float, precision: float) -> int:
    """How many reviews the first threshold must have: enough to allow some misses, if there are that many."""
    sizes = [reviews_needed(precision, misses) for misses in _MISSES_ALLOWED]
    return next((size for size in sizes if size <= _SHARE_AT_START * reviews), sizes[-1])
