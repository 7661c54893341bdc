"""The join of results with reviews: the same answer from every strategy, for any names, in few requests."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.keys import RowKeys, review_keys
from storage.reviews.join import ReviewedRow, reviewed_rows, span_of, with_reviews
from storage.reviews.query import Selection
from storage.reviews.review import Content, Review, to_entity
from tests.storage.query.fake_table import TABLE_PAGE, FakeTable, row_of, service_order, table_of
from tests.storage.query.folders import NAMES
from tests.storage.samples import NOON, record, review

if TYPE_CHECKING:
    from collections.abc import Iterable

ETAGS = ("0x8DE1", "0x8DE2")  # the first is that of every row
REVIEWS = st.tuples(
    NAMES,
    st.sampled_from(ETAGS),
    st.sampled_from(("Ana", "Bob")),
    st.sampled_from(("cat", "dog", None)),
    st.integers(0, 3),
)


def reviews_table(given_reviews: Iterable[tuple[Content, Review]], page: int = TABLE_PAGE, pause: int = 0) -> FakeTable:
    entities = [to_entity(*each) for each in given_reviews]
    by_address = {RowKeys(each["PartitionKey"], each["RowKey"]): each for each in entities}
    return FakeTable(sorted(by_address, key=service_order), by_address.__getitem__, page, pause)


def item(
    name: str, etag: str = ETAGS[0], by: str = "Ana", label: str | None = "dog", minutes: int = 0
) -> tuple[Content, Review]:
    at = NOON + timedelta(minutes=minutes)
    return Content("incoming", name, etag), review(label, reviewed_by=by, reviewed_at=at)


def expected(names: Iterable[str], items: Iterable[tuple[Content, Review]]) -> dict[str, list[Review]]:
    """By name, the fitting reviews newest first: written again, without keys, spans or digests."""
    last = {(content, each.reviewed_by): each for content, each in items}
    return {
        name: sorted(
            (each for (content, _), each in last.items() if content == ("incoming", name, ETAGS[0])),
            key=lambda each: (each.reviewed_at, each.reviewed_by),
            reverse=True,
        )
        for name in names
    }


@given(
    names=st.sets(NAMES, max_size=30),
    drawn=st.lists(REVIEWS, max_size=30),
    page=st.integers(1, 12),
    pause=st.sampled_from((0, 2, 3)),
    few=st.booleans(),
)
def test_every_row_gets_the_reviews_of_its_content(
    *, names: set[str], drawn: list[tuple[Any, ...]], page: int, pause: int, few: bool
) -> None:
    items = [item(*each) for each in drawn]
    reviews = reviews_table(items, page, pause)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.reviews.join.PAGE", page)  # small pages take the way of a large table
        joined = list(with_reviews(map(record, names), reviews, [span_of("incoming")], few=few))
    assert [row.record.blob_name for row in joined] == list(names)
    assert {row.record.blob_name: list(row.reviews) for row in joined} == expected(names, items)
    reviewed = {name: found for name, found in expected(names, items).items() if found}
    found = list(reviewed_rows(reviews, table_of(names, page, pause), "incoming"))
    assert {row.record.blob_name: list(row.reviews) for row in found} == reviewed
    assert len(found) == len(reviewed)


@pytest.mark.parametrize(
    ("reviews", "rows", "requests"),
    [(0, 500, 1), (900, 500, 1), (5_000, 10, 11), (5_000, 80, 81), (5_000, 500, 85), (900, 0, 0)],
)
def test_requests_grow_with_the_reviews_or_with_a_short_answer(reviews: int, rows: int, requests: int) -> None:
    table = reviews_table(item(f"{number}.jpg") for number in range(reviews))
    found = list(with_reviews((record(f"{number}.jpg") for number in range(rows)), table, [span_of("incoming")]))
    assert sum(bool(row.reviews) for row in found) == min(rows, reviews)
    assert table.requests == requests


def test_memory_does_not_grow_with_the_rows() -> None:
    table = reviews_table(item(f"{number}.jpg") for number in range(900))
    peaks = []
    for rows in (1_500, 6_000):
        tracemalloc.start()
        for _ in with_reviews((record(f"{number}.jpg") for number in range(rows)), table, [span_of("incoming")]):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[0] < 900 * 1_000


LABELS = {
    "no review": ((), "cat", False, 0.875, False, False),
    "agrees": ((review("cat"),), "cat", True, 0.875, False, False),
    "corrects": ((review("dog"),), "dog", True, None, False, True),
    "unsure": ((review(None),), "cat", False, 0.875, False, False),
    "unsure after another": ((review(None), review("dog", reviewed_by="Bob")), "cat", False, 0.875, False, False),
    "two labels": ((review("cat"), review("dog", reviewed_by="Bob")), "cat", True, 0.875, True, True),
    "one label by two": ((review("dog"), review("dog", reviewed_by="Bob")), "dog", True, None, False, True),
}


@pytest.mark.parametrize("case", LABELS)
def test_the_newest_review_decides_the_label(case: str) -> None:
    reviews, label, is_human, score, is_disputed, disagrees = LABELS[case]
    row = ReviewedRow(record(), reviews)
    assert (row.label, row.is_human, row.score, row.is_disputed, row.disagrees) == (
        label,
        is_human,
        score,
        is_disputed,
        disagrees,
    )
    accepted = [str(each) for each in Selection if each.accepts(row)]
    assert accepted == (["reviewed"] if reviews else ["unreviewed"]) + ["disagree"] * disagrees


@pytest.mark.parametrize(
    "changes",
    [{"reviewed_at": "noon"}, {"reviewed_by": "Bob"}, {"blob_name": 3}, {"score": float("nan")}, {"sample": "x"}],
    ids=str,
)
def test_an_edited_entity_is_left_out(changes: dict[str, Any]) -> None:
    entity = to_entity(*item("cat.jpg"))
    table = FakeTable([RowKeys(entity["PartitionKey"], entity["RowKey"])], lambda _: {**entity, **changes})
    (row,) = with_reviews([record()], table, [span_of("incoming")])
    assert row.reviews == ()


def test_a_review_is_in_the_partition_of_its_row() -> None:
    row = row_of("site a/cat.jpg")
    assert review_keys("incoming", "site a/cat.jpg", ETAGS[0], "Ana").partition_key == row["PartitionKey"]
