"""A record's index rows, and the keys it keeps of attempts it replaced."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storage.keys import index_row_key
from storage.results.index_rows import from_index_entity, index_rows
from storage.results.record import MAX_SUPERSEDED, IndexRow
from storage.results.serialization import to_entity
from tests.storage.samples import NOON, record, rejected


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_must_be_finite(score: float) -> None:
    with pytest.raises(ValueError, match="must be a finite number"):
        record(score=score)


def test_index_rows_answer_a_query_without_the_row() -> None:
    rows = index_rows(record())
    assert [row.keys.partition_key for row in rows] == ["status|classified|79738879", "label|cat|79738879"]
    written = to_entity(record(superseded=(rows[0].keys,), shared=True))
    for row in rows:
        assert row.columns.keys() == written.keys() - {"PartitionKey", "RowKey", "superseded", "shared"}
        assert {name: written[name] for name in row.columns} == row.columns
        assert from_index_entity(row.to_entity()) == record()


def test_an_image_with_a_capture_time_has_a_row_by_the_camera_s_clock() -> None:
    for taken_at in ("2024-05-02T01:02:03", "2024-05-02T01:02:03.000+10:00"):
        taken = index_rows(record(taken_at=taken_at))[2]
        image = index_row_key("incoming", "cat.jpg", NOON).partition("|")[2]
        # 1714611723 s from 1970 to then in UTC, as date(1) says
        assert taken.keys == ("taken||79759497", f"{10**18 - 1 - 1_714_611_723_000_000}|{image}")
    for nonsense in ("2024-05-02", "yesterday", "1969-12-31T23:59:59"):
        assert len(index_rows(record(taken_at=nonsense))) == (3 if nonsense == "2024-05-02" else 2)


def test_a_rejected_image_has_no_label_row() -> None:
    assert [row.keys.partition_key for row in index_rows(rejected())] == ["status|rejected|79738879"]


def test_an_index_row_has_the_same_text_before_and_after_storage() -> None:
    for row in index_rows(record()):
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
