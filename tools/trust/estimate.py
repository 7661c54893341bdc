"""Puts together the statements about each label and about all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inference.predictions import UNKNOWN
from tools.trust.counts import corrected_counts
from tools.trust.intervals import interval
from tools.trust.thresholds import more_reviews, promise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.trust.counts import Count
    from tools.trust.intervals import Interval
    from tools.trust.tally import Tally
    from tools.trust.thresholds import Promise


class LabelTrust(NamedTuple):
    """How far to trust one label.

    Attributes:
        label: A label of rows or of reviews.
        images: How many rows have it.
        reviewed: How many of them were drawn at random and reviewed.
        right: How many of those the reviewer confirmed.
        unsure: How many of those the reviewer could not name; they count as not confirmed.
        precision: The share of its images whose label a reviewer would confirm; ``None`` without a review.
        promise: The threshold that reaches the requested precision, or ``None``.
        more: About how many more reviews a promise needs, or ``None``: see ``thresholds.more_reviews``.
        corrected: How many images really have the label.
    """

    label: str
    images: int
    reviewed: int
    right: int
    unsure: int
    precision: Interval | None
    promise: Promise | None
    more: int | None
    corrected: Count


class Trust(NamedTuple):
    """How far to trust the labels.

    Attributes:
        labels: By number of images, the most frequent first. ``unknown`` is no statement, so it has no precision.
        overall: The precision over all labels that have reviews; ``None`` without any.
        covered: The share of the images, without unknown ones, that have a label with reviews.
    """

    labels: list[LabelTrust]
    overall: Interval | None
    covered: float


def estimate(tally: Tally, precision: float) -> Trust:
    """State how far to trust each label.

    Args:
        tally: Images and reviews.
        precision: The share of right labels that a threshold must reach, in (0, 1).

    Raises:
        ConfigurationError: scipy is not installed.
    """
    counts = corrected_counts(tally)
    ordered = sorted(counts, key=lambda label: (-tally.images[label], label))
    labels = [_of_label(tally, label, precision, counts[label]) for label in ordered]
    stated = [label for label in tally.images if label != UNKNOWN]
    reviewed = [label for label in stated if tally.reviews.get(label)]
    images = sum(tally.images[label] for label in stated)
    covered = sum(tally.images[label] for label in reviewed) / images if images else 0.0
    return Trust(labels, overall_precision(tally, reviewed) if reviewed else None, covered)


def precision_of(tally: Tally, label: str) -> Interval:
    """The precision of a label that has at least one review.

    Raises:
        ConfigurationError: scipy is not installed.
    """
    return interval(tally.parts(label, label))


def overall_precision(tally: Tally, labels: Iterable[str]) -> Interval:
    """The precision over several labels, of which at least one has a review.

    Raises:
        ConfigurationError: scipy is not installed.
    """
    return interval([part for label in labels for part in tally.parts(label, label)])


def _of_label(tally: Tally, label: str, precision: float, corrected: Count) -> LabelTrust:
    reviews = tally.reviews.get(label, [])
    is_statement = label != UNKNOWN and tally.images[label] > 0
    promised = promise(tally, label, precision) if is_statement else None
    return LabelTrust(
        label=label,
        images=tally.images[label],
        reviewed=len(reviews),
        right=sum(review.right for review in reviews),
        unsure=sum(review.answer is None for review in reviews),
        precision=precision_of(tally, label) if is_statement and reviews else None,
        promise=promised,
        more=more_reviews(tally, label, precision) if is_statement and promised is None else None,
        corrected=corrected,
    )
