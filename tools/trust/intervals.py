"""Confidence intervals of a share in a population of which a stratified random sample was reviewed.

With equal weights these are the exact limits of Clopper and Pearson (Biometrika 26, 1934). Where a reviewed image of
one stratum stands for more images than one of another, the limits are those of a smaller sample: its size is the
inverse of the mean weight of the hits, and the upper limit counts one more hit of the heaviest weight, as Fay and Feuer
do for rare events (Statistics in Medicine 16, 1997); Korn and Graubard put such an effective size into the limits of
Clopper and Pearson (Survey Methodology 24, 1998). ``tests/tools/trust/test_coverage.py`` holds the coverage by
simulation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inference.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONFIDENCE = 0.95
"""How often an interval or a promise must hold, over samples."""


class Part(NamedTuple):
    """A stratum, or a part of one.

    Attributes:
        size: How many images it holds; an estimate need not be whole.
        reviewed: How many of them were drawn at random and reviewed.
        hits: How many of the reviewed ones have the property whose share is estimated.
    """

    size: float
    reviewed: int
    hits: int


class Interval(NamedTuple):
    """A share in [0, 1] with its confidence limits: ``low <= estimate <= high``."""

    low: float
    estimate: float
    high: float


def interval(parts: Sequence[Part], confidence: float = CONFIDENCE) -> Interval:
    """The share of hits in all images, with limits that leave the same chance of error at each side.

    Reviewed images are known, so no limit contradicts them. A part without a review may hold any share: the limits
    allow for that, and the estimate assumes the share of the others.

    Args:
        parts: Strata with their exact sizes; at least one has a review.
        confidence: Of the two-sided interval, in (0, 1).

    Raises:
        ConfigurationError: scipy is not installed.
    """
    total = sum(part.size for part in parts)
    low, estimate, high = _limits(parts, (1 - confidence) / 2)
    low = max(low, sum(part.hits for part in parts) / total)
    high = min(high, 1 - sum(part.reviewed - part.hits for part in parts) / total)
    return Interval(low, min(max(estimate, low), high), high)


def lower_limit(parts: Sequence[Part], confidence: float = CONFIDENCE) -> float:
    """The share of hits that the population has at least, with this one-sided confidence. Sizes may be estimates.

    Raises:
        ConfigurationError: scipy is not installed.
    """
    return _limits(parts, 1 - confidence).low


def effective_size(parts: Sequence[Part]) -> float:
    """How many reviews would be as good as these if each stood for as many images as the heaviest one; 0 without any.

    It does not depend on the answers.
    """
    reviewed = [part for part in parts if part.reviewed]
    if not reviewed:
        return 0.0
    size = sum(part.size for part in reviewed) / max(part.size / part.reviewed for part in reviewed)
    return round(size, 6)  # 59 reviews of equal weight are 59, and not a little less


def reviews_needed(share: float, misses: int, confidence: float = CONFIDENCE) -> int:
    """The smallest sample whose lower limit reaches a share although so many of its images are no hits.

    It is the smallest n at which a binomial count of n misses, each with chance ``1 - share``, is at most ``misses``
    with a chance of at most ``1 - confidence``.

    Args:
        share: To be reached, in (0, 1).
        misses: At least 0.
        confidence: One-sided, in (0, 1).

    Raises:
        ConfigurationError: scipy is not installed.
    """
    _, tail = _beta()
    low, high = misses, 2 * misses + 2
    while tail(high - misses, misses + 1, share) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if tail(middle - misses, misses + 1, share) > 1 - confidence else (low, middle)
    return high


def _limits(parts: Sequence[Part], tail: float) -> Interval:
    """Limits of which each is wrong with this chance. A part whose images were all reviewed is known exactly."""
    total = sum(part.size for part in parts)
    known = sum(part.hits for part in parts if part.reviewed >= part.size) / total
    unreviewed = sum(part.size for part in parts if not part.reviewed) / total
    sampled = [part for part in parts if 0 < part.reviewed < part.size]
    share = sum(part.size for part in sampled) / total
    low, estimate, high = _of_sample(sampled, tail) if sampled else (0.0, 0.0, 0.0)
    best = (known + share * estimate) / (1 - unreviewed)
    return Interval(max(0.0, known + share * low), best, min(1.0, known + share * high + unreviewed))


def _of_sample(parts: Sequence[Part], tail: float) -> Interval:
    """The interval of parts that were sampled; hits or misses, those that are rarer are counted."""
    total = sum(part.size for part in parts)
    estimate = sum(part.size * part.hits / part.reviewed for part in parts) / total
    if estimate <= 1 / 2:
        return _of_rare([(part.size / part.reviewed / total, part.hits) for part in parts], tail)
    missed = [(part.size / part.reviewed / total, part.reviewed - part.hits) for part in parts]
    low, share, high = _of_rare(missed, tail)
    return Interval(1 - high, 1 - share, 1 - low)


def _of_rare(counts: Sequence[tuple[float, int]], tail: float) -> Interval:
    """The interval of a weighted count; each stratum has the weight of one review, and its number of hits."""
    quantile, _ = _beta()
    share = sum(weight * hits for weight, hits in counts)
    squares = sum(weight**2 * hits for weight, hits in counts)
    heaviest = max(weight for weight, _ in counts)
    low = 0.0
    if share > 0:
        size = share / squares
        low = float(quantile(share * size, (1 - share) * size + 1, tail))
    size = (share + heaviest) / (squares + heaviest**2)
    hits = (share + heaviest) * size
    high = float(quantile(hits, size + 1 - hits, 1 - tail)) if hits < size + 1 else 1.0
    return Interval(low, share, high)


def _beta() -> tuple[Callable[[float, float, float], float], Callable[[float, float, float], float]]:
    """The quantile function of the beta distribution and its distribution function.

    Raises:
        ConfigurationError: scipy is not installed.
    """
    try:
        from scipy.special import betainc, betaincinv  # loads a tenth of scipy.stats
    except ImportError as error:
        raise ConfigurationError("trust needs scipy: pip install -r requirements-trust.txt") from error
    return betaincinv, betainc
