"""How many images of each label there really are, from the labels of all images and the reviews of some.

The labels of all images are corrected by the share of errors among the reviewed ones: prediction-powered inference
(Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, Science 382, 2023), here with the labels as strata (Fisch et al.,
Stratified Prediction-Powered Inference, NeurIPS 2024), where it is the stratified estimate of a total (Cochran,
Sampling Techniques, 3rd edition, 1977, chapter 5). An image counts for a label if the reviewer gave it that label.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tools.trust.intervals import Part, interval

if TYPE_CHECKING:
    from tools.trust.tally import Tally


class Count(NamedTuple):
    """A number of images with its confidence limits: ``low <= estimate <= high``."""

    low: float
    estimate: float
    high: float


def corrected_counts(tally: Tally) -> dict[str, Count]:
    """The number of images of each label that an image or a review has.

    A label is taken for right where no image of it was reviewed; the limits allow for any share there. Images that have
    the label and images that have another one are two totals with an interval each. MOVER combines them to the interval
    of the sum (Zou and Donner, Statistics in Medicine 27, 2008).

    Raises:
        ConfigurationError: scipy is not installed.
    """
    answers = {review.answer for reviews in tally.reviews.values() for review in reviews}
    labels = sorted(tally.images.keys() | {answer for answer in answers if answer is not None})
    reviewed = [label for label, reviews in tally.reviews.items() if reviews]
    return {label: _count(tally, label, reviewed) for label in labels}


def _count(tally: Tally, label: str, reviewed: list[str]) -> Count:
    own = _total(tally.parts(label, label), unreviewed=1)
    others = [part for other in reviewed if other != label for part in tally.parts(other, label)]
    remaining = tally.images.total() - tally.images[label] - sum(part.size for part in others)
    missed = _total([*others, *([Part(remaining, 0, 0)] if remaining else [])], unreviewed=0)
    estimate = own.estimate + missed.estimate
    below = math.hypot(own.estimate - own.low, missed.estimate - missed.low)
    above = math.hypot(own.high - own.estimate, missed.high - missed.estimate)
    return Count(max(own.low + missed.low, estimate - below), estimate, min(own.high + missed.high, estimate + above))


def _total(parts: list[Part], unreviewed: int) -> Count:
    """The number of hits; the estimate takes ``unreviewed`` as the share of hits in parts without a review."""
    size = sum(part.size for part in parts)
    estimate = sum(part.size * (part.hits / part.reviewed if part.reviewed else unreviewed) for part in parts)
    if not any(part.reviewed for part in parts):
        return Count(0, estimate, size)
    limits = interval(parts)
    return Count(size * limits.low, estimate, size * limits.high)
