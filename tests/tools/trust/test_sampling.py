"""The sample: random within each stratum, each band's share rounded up, the same for every order of the rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.results.record import Record, Status
from tools.trust.sampling import BANDS, Stratum, draw, stratum_of

if TYPE_CHECKING:
    import random

PHOTO = Record(
    container="incoming",
    blob_name="a.jpg",
    status=Status.CLASSIFIED,
    label="fox",
    score=0.9,
    classified_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
    model="shapes",
    model_version="0123456789ab",
    etag="0x1",
    sidecar="a.jpg.json",
)


def photos(label: str, scores: list[float]) -> list[Record]:
    return [
        replace(PHOTO, blob_name=f"{label}/{number}.jpg", label=label, score=score)
        for number, score in enumerate(scores)
    ]


@given(
    st.lists(st.tuples(st.sampled_from(["fox", "owl", "/../"]), st.floats(0, 1)), max_size=60),
    st.integers(1, 20),
    st.randoms(use_true_random=False),
)
def test_each_band_gets_its_share_rounded_up_in_every_order(
    rows: list[tuple[str, float]], per_label: int, order: random.Random
) -> None:
    records = [
        replace(PHOTO, blob_name=f"{number}.jpg", label=label, score=score)
        for number, (label, score) in enumerate(rows)
    ]
    sample = draw(records, per_label, seed=1)
    sizes = Counter((label, sum(score >= edge for edge in BANDS)) for label, score in rows)
    labels = Counter(label for label, _ in rows)
    drawn = Counter(stratum_of(str(each.label), float(each.score or 0)) for each in sample.records)
    assert sample.sizes == sizes
    for (label, band), size in sizes.items():
        exact = min(1, per_label / labels[label]) * size
        assert exact - 1e-9 <= drawn[Stratum(label, band)] < exact + 1
    order.shuffle(records)
    assert draw(records, per_label, seed=1) == sample


def test_a_larger_sample_holds_the_smaller_one_and_another_seed_draws_another() -> None:
    fox = photos("fox", [number / 1000 for number in range(1000)])
    names = {
        (count, seed): {each.blob_name for each in draw(fox, count, seed).records}
        for count, seed in [(20, 1), (50, 1), (20, 2)]
    }
    assert names[20, 1] < names[50, 1]
    assert len(names[20, 1] & names[20, 2]) < 10


def test_the_first_half_of_a_sample_is_random_too() -> None:
    """A reviewer may stop early: neither labels nor scores come in order."""
    rows = photos("fox", [number / 1000 for number in range(1000)]) + photos("owl", [0.9] * 201)
    half = draw(rows, 200, seed=3).records[:200]
    assert 70 < sum(each.label == "fox" for each in half) < 130  # 4 standard deviations about 100
    low = [each for each in half if each.label == "fox" and (each.score or 0) < 0.5]
    assert 0.3 < len(low) / sum(each.label == "fox" for each in half) < 0.7


def test_every_image_of_a_stratum_is_drawn_equally_often() -> None:
    """Held by counting over 400 seeds; 6 standard deviations of a binomial count are 42."""
    fox = photos("fox", [0.6] * 30)
    counts = Counter(each.blob_name for seed in range(400) for each in draw(fox, 6, seed).records)
    assert len(counts) == 30
    assert all(abs(count - 80) < 48 for count in counts.values())


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.REJECTED, "label": None, "score": None},
        {"status": Status.FAILED, "label": None, "score": None},
        {"label": None},
        {"score": None},
    ],
)
def test_images_without_an_answer_are_left_out(changes: dict[str, object]) -> None:
    assert draw([replace(PHOTO, **changes)], 10, seed=1) == ([], {})  # type: ignore[arg-type]


def test_an_etag_in_quotes_has_the_same_rank() -> None:
    fox = photos("fox", [0.6] * 50)
    quoted = [replace(each, etag=f'"{each.etag}"') for each in fox]
    names = [[each.blob_name for each in draw(rows, 5, seed=1).records] for rows in (fox, quoted)]
    assert names[0] == names[1]
