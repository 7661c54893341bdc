from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.predictions import Prediction
from storage.etags import bare_etag, same_etag
from storage.keys import RowKeys, index_row_key
from storage.results.record import Record, Status
from storage.results.serialization import from_entity, from_sidecar, to_entity, to_sidecar
from tests.storage.samples import AWKWARD_NAMES, NOON, record, rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.storage.conftest import Account

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/sidecar.schema.json").read_text())
_VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

failed = rejected(status=Status.FAILED, reason="gave_up", model="", model_version="")
raced = record(
    shared=True, superseded=(RowKeys("status|classified|79738879", "1|a"), RowKeys("label|d\u00f6g|79738879", "1|a"))
)
OUTCOMES = {"classified": record(), "rejected": rejected(), "failed": failed, "after a race": raced}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
times = st.datetimes(datetime(2020, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
predictions = st.lists(st.builds(Prediction, texts, st.integers(0, 9999), st.floats(0, 1)), min_size=1, max_size=5)
records = st.builds(
    record,
    texts.filter(bool),
    label=texts,
    score=st.floats(0, 1),
    predictions=predictions.map(tuple),
    classified_at=times,
    content_length=st.integers(0, 2**53),
    blob_last_modified=times.map(lambda moment: moment.replace(microsecond=0)),
)


@pytest.fixture(params=["Asia/Kolkata", "America/St_Johns", "UTC"])
def time_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The process in another time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES.keys())
def test_a_row_and_a_sidecar_come_back_from_storage_as_they_went(
    time_zone: str, outcome: Record, account: Account
) -> None:
    account.results.write_sidecar(outcome, None)
    account.results.write_row(outcome, None)
    for stored in (account.results.read_row(outcome.image), account.results.read_sidecar(outcome.image)):
        assert stored is not None
        assert stored.record == outcome
        assert stored.record.classified_at.utcoffset() == timedelta(0)
        assert type(stored.record.classified_at) is datetime
        assert type(stored.record.content_length) is int


def test_names_of_all_kinds_come_back_from_row_sidecar_and_index(account: Account) -> None:
    names = [*AWKWARD_NAMES.values(), "\U0001f431" * 500 + ".jpg", "n" * 1024, "d/" * 400 + "x" * 200]
    wanted = set()
    for name in names:
        outcome = record(name)
        account.results.write_sidecar(outcome, None)
        account.results.write_row(outcome, None)
        for row in outcome.index_rows():
            account.results.write_index_row(row)
            wanted.add(tuple(row.keys))
        row_stored = account.results.read_row(outcome.image)
        sidecar_stored = account.results.read_sidecar(outcome.image)
        assert row_stored is not None
        assert sidecar_stored is not None
        assert row_stored.record == sidecar_stored.record == outcome
    assert account.index_keys() == wanted
    table = account.clients.tables.get_table_client(account.table)
    assert {entity["blob_name"] for entity in table.list_entities()} == set(names)


@given(records)
def test_any_record_survives_both_written_forms(outcome: Record) -> None:
    assert from_sidecar(to_sidecar(outcome)) == outcome
    assert from_entity(to_entity(outcome)) == outcome


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES.keys())
def test_a_sidecar_is_valid_against_its_published_schema(outcome: Record) -> None:
    _VALIDATOR.validate(json.loads(to_sidecar(outcome)))


@given(records)
def test_any_sidecar_is_valid_against_its_published_schema(outcome: Record) -> None:
    _VALIDATOR.validate(json.loads(to_sidecar(outcome)))


def test_the_schema_itself_is_valid_and_notices_a_difference() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    document = json.loads(to_sidecar(record()))
    for change in ({"score": 1.5}, {"label": None}, {"classified_at": "2026-11-20T12:00:00"}, {"extra": 1}):
        assert not _VALIDATOR.is_valid(document | change)


def test_row_and_sidecar_say_the_same_with_the_same_names() -> None:
    for outcome in OUTCOMES.values():
        row = {name: getattr(value, "value", value) for name, value in to_entity(outcome).items()}
        del row["PartitionKey"], row["RowKey"]
        document = json.loads(to_sidecar(outcome))
        del document["schema_version"], document["predictions"]
        for name in {*row, *document} - {"superseded"}:
            told = row.get(name)
            assert document[name] == (told.isoformat() if isinstance(told, datetime) else told)


def test_absent_values_are_left_out_of_the_row_and_null_in_the_sidecar() -> None:
    row, document = to_entity(rejected()), json.loads(to_sidecar(rejected()))
    for name in ("label", "label_index", "score", "top_k", "width", "height", "format"):
        assert name not in row
        assert document[name] is None


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_never_written(score: float) -> None:
    with pytest.raises(ValueError, match="must be a finite number"):
        record(score=score)
    with pytest.raises(ValueError, match="JSON compliant"):
        to_sidecar(record(predictions=(Prediction("cat", 0, score),)))
    with pytest.raises(ValueError, match="JSON compliant"):
        to_entity(record(predictions=(Prediction("cat", 0, score),)))


def test_a_long_top_k_is_bounded_in_the_row_and_whole_in_the_sidecar(account: Account) -> None:
    """A string column holds 64 KiB; a thousand wordy labels are more. The best ones are what a row is asked for."""
    many = tuple(
        Prediction(f"a label of many words \U0001f431\u00e9 number {n} " + "x" * 40, n, 1 / (n + 2))
        for n in range(1000)
    )
    outcome = record(predictions=many)
    account.results.write_row(outcome, None)
    stored = account.results.read_row(outcome.image)
    assert stored is not None
    assert stored.record is not None
    kept = stored.record.predictions
    assert 100 < len(kept) < 1000
    assert kept == many[: len(kept)]
    text = str(to_entity(outcome)["top_k"])
    assert len(text.encode("utf-16-le")) <= 65536
    assert from_sidecar(to_sidecar(outcome)).predictions == many


def test_what_a_record_remembers_of_races_is_bounded(account: Account) -> None:
    raced = record(label="\u00e9" * 1000)
    for minute in range(60):
        raced = record(label="\u00e9" * 1000, classified_at=NOON + timedelta(minutes=minute)).superseding(raced)
    account.results.write_row(raced, None)
    stored = account.results.read_row(raced.image)
    assert stored is not None
    assert stored.record is not None
    assert stored.record.superseded == raced.superseded
    assert index_row_key("incoming", "cat.jpg", NOON + timedelta(minutes=58)) in {k.row_key for k in raced.superseded}


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


NOT_SIDECARS: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"\xff": 1}',
    "a list": b"[]",
    "a number": b"1",
    "another object": b'{"name": "notes"}',
    "nested without end": b'{"a":' * 100_000,
    "a huge number": b'{"a": ' + b"9" * 5000 + b"}",
}


def _changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(to_sidecar(record())) | changes).encode()


NOT_SIDECARS |= {
    "an unknown status": _changed(status="lost"),
    "a time without a zone": _changed(classified_at="2026-11-20T12:00:00"),
    "a time that is a number": _changed(classified_at=5),
    "no time": _changed(classified_at=None),
    "no predictions": _changed(predictions=None),
    "odd predictions": _changed(predictions=[{"label": "cat"}]),
    "odd keys": _changed(superseded=[["one"]]),
    "a name that is a number": _changed(blob_name=5),
    "another version": _changed(schema_version=99),
}


@pytest.mark.parametrize("content", NOT_SIDECARS.values(), ids=NOT_SIDECARS.keys())
def test_what_is_not_a_sidecar_is_refused_with_one_class(content: bytes) -> None:
    with pytest.raises(ValueError):
        from_sidecar(content)


def test_quotes_do_not_count_in_an_etag() -> None:
    assert same_etag('"0x1"', "0x1")
    assert not same_etag("0x1", "0x2")
    assert not same_etag(None, None)
    assert bare_etag('"0x1"') == "0x1"
