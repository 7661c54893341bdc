"""Which photos a review draws, on which the estimates of ``trust`` rest; and which labels it offers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.results.record import Status
from tests.tools.report.reports import outcome
from tools.review.drawing import Draw, Stratum, Terms, all_rows, draw, each_label
from tools.review.label_choices import LabelChoices

if TYPE_CHECKING:
    from random import Random

LABELS = {"fox": 60, "hare": 30, "lynx": 3}


ROWS = [
    outcome(f"{label}/{at}.jpg", label=label, score=at / number)
    for label, number in LABELS.items()
    for at in range(number)
]


def drawn(seed: int, *, limit: int = 500, per_label: int | None = None) -> Draw:
    return draw(ROWS, each_label if per_label else all_rows, Terms(limit, per_label, seed, is_random=True))


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 30), st.integers(1, 12), st.randoms())
def test_each_label_gives_what_it_has_up_to_the_limits(
    labels: list[str], limit: int, each: int, random: Random
) -> None:
    records = [outcome(f"{at}.jpg", label=label) for at, label in enumerate(labels)]
    records.append(outcome("bad.jpg", status=Status.REJECTED))
    made = draw(records, each_label, Terms(limit, each, 1, is_random=True))
    counts, had = Counter(record.label for record in made.records), Counter(labels)
    assert made.rows == {Stratum(label): number for label, number in had.items()}
    assert len(made.records) == min(limit, sum(min(each, number) for number in had.values()))
    assert all(counts[label] <= min(each, number) for label, number in had.items())
    if counts:  # the limit takes from the largest first
        assert all(counts[label] >= min(had[label], max(counts.values()) - 1) for label in had)
    random.shuffle(records)
    if limit >= len(records):
        assert draw(records, each_label, Terms(limit, each, 1, is_random=True)).records == made.records


def test_every_row_of_a_stratum_is_drawn_equally_often() -> None:
    """Over 500 seeds, 6 of 60 foxes and 6 of 30 hares: Pearson's chi-square of how often each row was drawn.

    The draw takes without replacement, which shrinks the statistic by (n - k) / (n - 1); 98.32 and 58.30 are the 99.9 %
    quantiles of chi-square with 59 and 29 degrees of freedom (R: qchisq(0.999, 59)).
    """
    times: Counter[str] = Counter()
    for seed in range(500):
        times.update(record.blob_name for record in drawn(seed, per_label=6).records)
    for label, quantile in (("fox", 98.32), ("hare", 58.30)):
        number = LABELS[label]
        expected = 500 * 6 / number
        statistic = sum((times[f"{label}/{at}.jpg"] - expected) ** 2 / expected for at in range(number))
        assert statistic / ((number - 6) / (number - 1)) < quantile
    assert all(times[f"lynx/{at}.jpg"] == 500 for at in range(3))


def test_the_first_half_of_a_random_page_has_every_label_in_its_share() -> None:
    """A person may stop early. Sorted by the ranks of the draw, rare labels would come last."""
    first = Counter[str]()
    for seed in range(300):
        records = drawn(seed, per_label=6).records
        assert len(records) == 15
        first.update(record.label or "" for record in records[:5])
    # Of 15 photos 6, 6 and 3; so of the first five, 2, 2 and 1 on average. Six standard errors are below 0.35.
    assert first["fox"] / 300 == pytest.approx(2, abs=0.35)
    assert first["lynx"] / 300 == pytest.approx(1, abs=0.35)


def test_a_seed_repeats_its_draw_and_another_one_does_not() -> None:
    names = [[record.blob_name for record in drawn(seed, limit=10).records] for seed in (5, 5, 6)]
    assert names[0] == names[1]
    assert set(names[0]) != set(names[2])


def test_chosen_photos_come_with_the_lowest_score_first_and_each_once() -> None:
    record = outcome("a.jpg", score=0.4)
    twice = [outcome("b.jpg", score=0.6), record, replace(record, score=0.3)]
    made = draw(twice, all_rows, Terms(10, None, 0, is_random=False))
    assert [each.blob_name for each in made.records] == ["a.jpg", "b.jpg"]
    assert made.sample == "chosen"


def test_the_search_offers_a_bounded_number_of_labels() -> None:
    labels = LabelChoices()
    records = [outcome("a.jpg", label=label) for label in ("fox", "unknown", "x" * 201, "hare", "hare")]
    records += [outcome("b.jpg", label=f"label {at}") for at in range(30_000)]
    assert list(labels.seen_in(records)) == records
    assert labels.all()[:2] == ["hare", "fox"]
    assert len(labels.all()) == 25_000
    assert not {"unknown", "x" * 201} & set(labels.all())
