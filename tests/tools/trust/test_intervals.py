"""The limits agree with scipy.stats where the weights are equal, and are careful where they are not."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from inference.errors import ConfigurationError
from tools.trust.intervals import Part, effective_size, interval, lower_limit, reviews_needed

PARTS = st.lists(
    st.tuples(st.integers(1, 10**7), st.floats(0, 1), st.floats(0, 1)).map(
        lambda each: Part(each[0], round(each[1] * min(each[0], 300)), 0)._replace(
            hits=round(each[2] * round(each[1] * min(each[0], 300)))
        )
    ),
    min_size=1,
    max_size=8,
).filter(lambda parts: any(part.reviewed for part in parts))


@given(st.integers(1, 2000), st.floats(0, 1), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_equal_weights_give_the_exact_limits(reviewed: int, share: float, confidence: float) -> None:
    hits = round(share * reviewed)
    exact = binomtest(hits, reviewed).proportion_ci(confidence, "exact")
    found = interval([Part(1e9, reviewed, hits)], confidence)
    assert found.low == pytest.approx(exact.low, abs=1e-9)
    assert found.high == pytest.approx(exact.high, abs=1e-9)
    assert found.estimate == pytest.approx(hits / reviewed)


@given(st.integers(1, 500), st.floats(0, 1), st.integers(2, 6))
def test_strata_in_proportion_are_one_sample(reviewed: int, share: float, strata: int) -> None:
    hits = [round(share * reviewed)] * strata
    split = interval([Part(reviewed * 1000, reviewed, each) for each in hits])
    whole = interval([Part(reviewed * 1000 * strata, reviewed * strata, sum(hits))])
    assert split == pytest.approx(whole)


@given(PARTS)
def test_limits_enclose_the_estimate_and_mirror_each_other(parts: list[Part]) -> None:
    found = interval(parts)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    misses = interval([part._replace(hits=part.reviewed - part.hits) for part in parts])
    if abs(found.estimate - 0.5) > 1e-6:  # at one half either side may count as the rarer
        assert (misses.low, misses.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-9)
    assert 0 < effective_size(parts) <= sum(part.reviewed for part in parts) * (1 + 1e-9)


@given(PARTS, st.integers(1, 10**7))
def test_a_part_without_a_review_may_hold_anything(parts: list[Part], size: int) -> None:
    total = sum(part.size for part in parts)
    before, after = interval(parts), interval([*parts, Part(size, 0, 0)])
    assert after.low == pytest.approx(before.low * total / (total + size), abs=1e-9)
    assert after.high == pytest.approx((before.high * total + size) / (total + size), abs=1e-9)


def test_a_part_that_was_reviewed_whole_is_known() -> None:
    assert interval([Part(5, 5, 4)]) == pytest.approx((0.8, 0.8, 0.8))
    mixed = interval([Part(50, 50, 50), Part(50, 10, 10)])
    assert mixed.low == pytest.approx((1 + 0.025 ** (1 / 10)) / 2)
    assert mixed.high == 1


def test_no_limit_contradicts_the_reviews() -> None:
    assert interval([Part(10, 9, 9)]) == pytest.approx((0.9, 1, 1))
    assert interval([Part(10, 9, 0)]) == pytest.approx((0, 0, 0.1))


def test_no_error_among_few_heavy_reviews_is_little_evidence() -> None:
    """The worst case is exact: all errors in the stratum of which ten images were seen."""
    found = interval([Part(500, 10, 10), Part(500, 490, 490)])
    assert found.low <= 1 - (1 - 0.025 ** (1 / 10)) / 2


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("misses", [0, 1, 2, 7])
def test_the_reviews_needed_are_the_fewest(share: float, misses: int) -> None:
    size = reviews_needed(share, misses)
    assert binom.cdf(misses, size, 1 - share) <= 0.05 + 1e-12
    assert binom.cdf(misses, size - 1, 1 - share) > 0.05
    assert lower_limit([Part(1e9, size, size - misses)]) >= share
    assert lower_limit([Part(1e9, size - 1, size - 1 - misses)]) < share


def test_more_reviews_narrow_the_interval() -> None:
    widths = [
        found.high - found.low
        for found in (interval([Part(1e6, size, size * 9 // 10)]) for size in (10, 50, 100, 1000, 10_000))
    ]
    assert widths == sorted(widths, reverse=True)


def test_without_scipy_a_sentence_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_scipy(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_scipy)
    with pytest.raises(ConfigurationError, match=r"pip install -r requirements-trust\.txt"):
        interval([Part(100, 10, 9)])
