"""A record's index rows, and the keys it keeps of attempts it replaced."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storage.keys import index_row_key
from storage.results.record import MAX_SUPERSEDED, IndexRow
from tests.storage.samples import NOON, record, rejected


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_must_be_finite(score: float) -> None:
    with pytest.raises(ValueError, match="must be a finite number"):
        record(score=score)


def test_index_rows_answer_a_query_without_the_row() -> None:
    rows = record().index_rows()
    assert [row.keys.partition_key for row in rows] == ["status|classified|79738879", "label|cat|79738879"]
    for row in rows:
        assert row.columns == {
            "container": "incoming",
            "blob_name": "cat.jpg",
            "status": "classified",
            "label": "cat",
            "score": 0.875,
            "etag": "0x8DE1",
            "classified_at": NOON,
        }


def test_a_rejected_image_has_no_label_row() -> None:
    assert [row.keys.partition_key for row in rejected().index_rows()] == ["status|rejected|79738879"]


def test_an_index_row_has_the_same_text_before_and_after_storage() -> None:
    for row in record().index_rows():
        assert IndexRow.from_entity(row.to_entity()) == row
        assert IndexRow(row.keys, dict(reversed(list(row.columns.items())))).canonical_text() == row.canonical_text()
        assert IndexRow(row.keys, {**row.columns, "label": "dog"}).canonical_text() != row.canonical_text()


def test_a_record_keeps_the_newest_keys_of_replaced_attempts() -> None:
    latest = record()
    for minute in range(60):
        latest = record(classified_at=NOON + timedelta(minutes=minute)).superseding(latest)
    assert len(latest.superseded) == MAX_SUPERSEDED
    assert index_row_key("incoming", "cat.jpg", NOON + timedelta(minutes=58)) in {k.row_key for k in latest.superseded}


def test_a_finished_attempt_leaves_no_keys() -> None:
    older = record(label="dog")
    assert set(record().superseding(older).superseded) == older.index_keys() - record().index_keys()
    assert record().superseding(older, finished=True).superseded == ()
