"""The chosen threshold is that of fixed-sequence testing, written a second time with scipy.stats."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tools.trust.tally import EDGES, Review, Tally
from tools.trust.thresholds import Promise, more_reviews, promise

if TYPE_CHECKING:
    from collections.abc import Sequence

SCORES = st.one_of(st.sampled_from([0.5, 0.83, 0.951, 0.995, 1.0]), st.floats(0.95, 1))


def tally_of(reviews: list[Review], others: Sequence[float] = (), times: int = 1) -> Tally:
    """Reviewed images of the label fox, and others of it by score, each so many times."""
    tally = Tally()
    for review in reviews:
        tally.add("fox", review.score)
        tally.add_review(review)
    for score in others:
        tally.add("fox", score, times)
    return tally


@cache
def fewest_reviews(precision: float) -> list[int]:
    return [next(n for n in range(1, 9999) if binom.cdf(k, n, 1 - precision) <= 0.05) for k in (0, 1, 2)]


def by_hand(reviews: list[Review], precision: float) -> tuple[float, int, int] | None:
    """Fixed-sequence testing of a simple random sample, with binomial p-values."""
    fewest = fewest_reviews(precision)
    start = max([size for size in fewest if size * 3 <= len(reviews) * 2], default=fewest[0])
    chosen = None
    for edge in sorted({max(each for each in EDGES if each <= review.score) for review in reviews}, reverse=True):
        above = [review for review in reviews if review.score >= edge]
        misses = sum(review.answer != "fox" for review in above)
        if len(above) < start:
            continue
        if binom.cdf(misses, len(above), 1 - precision) > 0.05:
            break
        chosen = (edge, len(above), len(above) - misses)
    return chosen


@pytest.mark.parametrize("seed", range(60))
def test_one_stratum_gives_what_binomial_tests_give(seed: int) -> None:
    rng = random.Random(seed)
    precision = rng.choice([0.8, 0.9, 0.95])
    reviews = [
        Review("fox", rng.choice([0.951, 0.995, 1.0, rng.uniform(0.95, 1)]), rng.choice(["owl", *["fox"] * 40]))
        for _ in range(rng.randint(0, 260))
    ]
    found = promise(tally_of(reviews, [review.score for review in reviews], 1000), "fox", precision)
    assert (found and (found.threshold, found.reviewed, found.right)) == by_hand(reviews, precision)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(SCORES, st.sampled_from(["fox", "fox", "fox", "owl", None])), max_size=120),
    st.lists(SCORES, max_size=300),
)
def test_a_promise_states_the_share_that_passes_and_no_score_that_was_not_reviewed(
    answers: list[tuple[float, str | None]], others: list[float]
) -> None:
    reviews = [Review("fox", score, answer) for score, answer in answers]
    found = promise(tally_of(reviews, others), "fox", 0.7)
    if found is not None:
        scores = [review.score for review in reviews] + others
        assert found.passing == pytest.approx(sum(score >= found.threshold for score in scores) / len(scores))
        above = [review for review in reviews if review.score >= found.threshold]
        assert (found.reviewed, found.right) == (len(above), sum(review.answer == "fox" for review in above))
        assert found.threshold in EDGES
        assert any(found.threshold <= review.score < found.threshold + 0.01 for review in above)


def test_photos_without_a_review_above_the_threshold_weaken_the_promise() -> None:
    """60 reviews, all right, prove 95 %; not so if 5 % of the photos are in a stratum that was not reviewed."""
    reviews = [Review("fox", 0.9, "fox")] * 60
    assert promise(tally_of(reviews, [0.9] * 940), "fox", 0.95) == Promise(0.9, 1.0, 60, 60)
    assert promise(tally_of(reviews, [0.9] * 890 + [0.99] * 50), "fox", 0.95) is None


def test_a_label_reviewed_whole_has_the_lowest_threshold_that_is_precise() -> None:
    reviews = [Review("fox", 0.99, "owl"), *[Review("fox", 0.9, "fox")] * 19, *[Review("fox", 0.4, "owl")] * 5]
    assert promise(tally_of(reviews), "fox", 0.95) == Promise(0.9, 0.8, 20, 19)


def test_a_label_reviewed_almost_whole_is_certain() -> None:
    """19 right of 20 photos are 95 %, whether the last one is right or not."""
    reviews = [Review("lynx", 0.9, "lynx")] * 19
    tally = Tally()
    tally.add("lynx", 0.9, 20)
    for review in reviews:
        tally.add_review(review)
    assert promise(tally, "lynx", 0.95) == Promise(0.9, 1.0, 19, 19)
    assert promise(tally, "lynx", 0.96) is None


def test_the_number_of_reviews_still_needed() -> None:
    fox = Review("fox", 0.97, "fox")
    assert more_reviews(tally_of([], [0.9] * 1000), "fox", 0.95) == 59
    assert more_reviews(tally_of([], [0.9] * 20), "fox", 0.95) == 20
    assert more_reviews(tally_of([fox] * 20, [0.97] * 1000), "fox", 0.95) == 39
    assert more_reviews(tally_of([fox] * 20, [0.97] * 7), "fox", 0.95) == 7
    assert more_reviews(tally_of([fox] * 20, [0.97] * 5000), "fox", 0.99) == 279
    wrong = Review("fox", 0.97, "owl")
    assert more_reviews(tally_of([fox] * 50 + [wrong] * 50, [0.97] * 5000), "fox", 0.95) is None
    assert more_reviews(tally_of([wrong] * 5, [0.97] * 5000), "fox", 0.95) == 54  # too few to give up


@pytest.mark.parametrize("errors", [1, 2, 3])
def test_that_many_more_of_the_same_prove_it(errors: int) -> None:
    reviews = [Review("fox", 0.97, "owl" if number < errors else "fox") for number in range(100)]
    more = more_reviews(tally_of(reviews, [0.97], 100_000), "fox", 0.95)
    assert more is not None
    size = 100 + more
    misses = round(errors * size / 100)
    grown = [Review("fox", 0.97, "owl" if number < misses else "fox") for number in range(size)]
    assert promise(tally_of(grown, [0.97], 100_000), "fox", 0.95) is not None
    fewest = next(n for n in range(60, 9999) if binom.cdf(round(errors * n / 100), n, 0.05) <= 0.05)
    assert size <= max(120, fewest)  # a fifth more at least: the first hundred had bad luck
