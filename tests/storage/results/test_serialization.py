"""Row and sidecar hold the same values, come back unchanged, and refuse what this app did not write."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.predictions import Answer, Classification, ImageInfo, ModelIdentity, Prediction
from storage.keys import RowKeys, image_keys
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.stores import Stores
from storage.reconcile.repair import same_outcome
from storage.results import serialization
from storage.results.index_rows import index_rows
from storage.results.record import Record, Status
from storage.results.serialization import (
    MAX_TEXT_UNITS,
    from_any_entity,
    from_entity,
    from_sidecar,
    is_sidecar,
    to_entity,
    to_sidecar,
)
from tests.storage.samples import AWKWARD_NAMES, NOON, record, rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.storage.conftest import Account

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/sidecar.schema.json").read_text(encoding="utf-8"))
_VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

failed = rejected(status=Status.FAILED, reason="gave_up", model="", model_version="")
raced = record(
    shared=True, superseded=(RowKeys("status|classified|79738879", "1|a"), RowKeys("label|d\u00f6g|79738879", "1|a"))
)
BIRDS = Answer(ModelIdentity("birds", "1" * 12), "wren", 3, 0.875, (Prediction("wren", 3, 0.875),))
UNSURE = Answer(ModelIdentity("bats", "2" * 12), "unknown", None, 0.25, (Prediction("noctule", 0, 0.25),))
on_trial = record(shadow=BIRDS)
two_models = record(model="birds+bats", answers=(BIRDS, UNSURE))
damaged = record(damaged=True, decoded_fraction=0.375, color_profile="Display P3", md5_mismatch=True)
captured = record(
    taken_at="2019-05-05T14:36:12.5+02:00",
    taken_from="exif",
    camera_make="RECONYX",
    camera_model="HYPERFIRE 2 COVERT",
    camera_serial="H2UC12345678",
    temperature_c=-1.5,
    latitude=-33.75,
    longitude=151.125,
    content_md5="0123456789abcdef" * 2,
    phash="00ff00ff00ff00ff",
    decision_version="536418c337f5",
)
OUTCOMES = {
    "classified": record(),
    "rejected": rejected(),
    "failed": failed,
    "after a race": raced,
    "damaged": damaged,
    "captured": captured,
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
times = st.datetimes(datetime(2020, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
predictions = st.lists(st.builds(Prediction, texts, st.integers(0, 9999), st.floats(0, 1)), min_size=1, max_size=5)
records = st.one_of(
    st.sampled_from(list(OUTCOMES.values())),
    st.builds(
        record,
        texts.filter(bool),
        label=texts,
        score=st.floats(0, 1),
        predictions=predictions.map(tuple),
        classified_at=times,
        content_length=st.integers(0, 2**53),
        blob_last_modified=times.map(lambda modified: modified.replace(microsecond=0)),
    ),
)


@pytest.fixture(params=["Asia/Kolkata", "America/St_Johns", "UTC"])
def time_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The process in another time zone."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system cannot change the time zone of a process")
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES.keys())
def test_row_and_sidecar_come_back_from_storage_unchanged(time_zone: str, outcome: Record, account: Account) -> None:
    account.results.write_sidecar(outcome, None)
    account.results.write_row(outcome, None)
    for stored in (account.results.read_row(outcome.image), account.results.read_sidecar(outcome.image)):
        assert stored is not None
        assert stored.record == outcome
        assert stored.record.classified_at.utcoffset() == timedelta(0)
        assert type(stored.record.classified_at) is datetime
        assert type(stored.record.content_length) is int


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**62])
def test_numbers_of_more_than_31_bits_come_back(account: Account, length: int) -> None:
    """The service refuses a number that does not fit the type it is sent with."""
    account.results.write_row(record(content_length=length), None)
    (entity,) = account.clients.tables.get_table_client(account.table).list_entities()
    assert getattr(entity["content_length"], "value", entity["content_length"]) == length
    stored = account.results.read_row(record().image)
    assert stored is not None
    assert stored.record is not None
    assert stored.record.content_length == length


def test_names_of_all_kinds_come_back_from_row_sidecar_and_index(account: Account) -> None:
    names = [*AWKWARD_NAMES.values(), "\U0001f431" * 500 + ".jpg", "n" * 1024, "d/" * 400 + "x" * 200]
    expected = set()
    for name in names:
        outcome = record(name)
        account.results.write_sidecar(outcome, None)
        account.results.write_row(outcome, None)
        for row in index_rows(outcome):
            account.results.write_index_row(row)
            expected.add(tuple(row.keys))
        row_stored = account.results.read_row(outcome.image)
        sidecar_stored = account.results.read_sidecar(outcome.image)
        assert row_stored is not None
        assert sidecar_stored is not None
        assert row_stored.record == sidecar_stored.record == outcome
    assert account.index_keys() == expected
    table = account.clients.tables.get_table_client(account.table)
    assert {entity["blob_name"] for entity in table.list_entities()} == set(names)


@given(records)
def test_any_record_comes_back_and_its_sidecar_fits_the_published_schema(outcome: Record) -> None:
    assert from_entity(to_entity(outcome)) == outcome
    sidecar = to_sidecar(outcome)
    assert from_sidecar(sidecar) == outcome
    _VALIDATOR.validate(json.loads(sidecar))


def test_the_schema_is_valid_and_refuses_wrong_values() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    document = json.loads(to_sidecar(record(scores=bytes(6))))
    _VALIDATOR.validate(document)
    for change in (
        {"score": 1.5},
        {"scores": document["scores"] | {"encoding": "f32le+base64"}},
        {"scores": {"encoding": "f16le+base64", "count": 3}},
        {"label": None},
        {"classified_at": "2026-11-20T12:00:00"},
        {"extra": 1},
        {"schema_version": 3},
        {"damaged": True},
        {"damaged": False, "decoded_fraction": 0.5},
        {"decoded_fraction": 0.5},
        {"taken_at": "2019:05:05 14:36:12"},
        {"taken_from": "guess"},
        {"latitude": 91},
        {"content_md5": "0123"},
        {"phash": "0123"},
    ):
        assert not _VALIDATOR.is_valid(document | change)


def test_row_and_sidecar_hold_the_same_values_under_the_same_names() -> None:
    for outcome in OUTCOMES.values():
        row = {name: getattr(value, "value", value) for name, value in to_entity(outcome).items()}
        del row["PartitionKey"], row["RowKey"]
        document = json.loads(to_sidecar(outcome))
        del document["schema_version"], document["predictions"]
        for name in {*row, *document} - {"superseded"}:
            value = row.get(name)
            assert document[name] == (value.isoformat() if isinstance(value, datetime) else value)


def test_absent_values_are_left_out_of_the_row_and_null_in_the_sidecar() -> None:
    row, document = to_entity(rejected()), json.loads(to_sidecar(rejected()))
    for name in ("label", "label_index", "score", "top_k", "width", "height", "format"):
        assert name not in row
        assert document[name] is None


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_prediction_that_is_not_finite_is_not_written(score: float) -> None:
    broken = record(predictions=(Prediction("cat", 0, score),))
    for write in (to_sidecar, to_entity):
        with pytest.raises(ValueError, match="JSON compliant"):
            write(broken)


def test_a_long_top_k_is_cut_in_the_row_and_complete_in_the_sidecar(account: Account) -> None:
    """A string column holds 64 KiB, less than a thousand long labels take. The row keeps the best ones."""
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
    assert len(str(to_entity(outcome)["top_k"]).encode("utf-16-le")) <= 65536
    assert from_sidecar(to_sidecar(outcome)).predictions == many


def test_the_longest_list_of_superseded_keys_fits_a_column(account: Account) -> None:
    latest = record(label="\u00e9" * 1000)
    for minute in range(60):
        latest = record(label="\u00e9" * 1000, classified_at=NOON + timedelta(minutes=minute)).superseding(latest)
    account.results.write_row(latest, None)
    stored = account.results.read_row(latest.image)
    assert stored is not None
    assert stored.record is not None
    assert stored.record.superseded == latest.superseded


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
    return json.dumps(json.loads(to_sidecar(two_models)) | changes).encode()


NOT_SIDECARS |= {
    "an unknown status": _changed(status="lost"),
    "a time without a zone": _changed(classified_at="2026-11-20T12:00:00"),
    "a time that is a number": _changed(classified_at=5),
    "no time": _changed(classified_at=None),
    "no predictions": _changed(predictions=None),
    "odd predictions": _changed(predictions=[{"label": "cat"}]),
    "a flag": json.dumps({"schema_version": 2, "damaged": True, "predictions": []}).encode(),
    "odd keys": _changed(superseded=[["one"]]),
    "a name that is a number": _changed(blob_name=5),
    "another version": _changed(schema_version=99),
    "answers that are a number": _changed(answers=1),
    "answers that are text": _changed(answers="x"),
    "an answer that is a number": _changed(answers=[1]),
    "an empty answer": _changed(answers=[{}]),
    "an answer without a label": _changed(answers=[{"model": "a"}]),
    "no answers": _changed(answers=None),
}


@pytest.mark.parametrize("content", NOT_SIDECARS.values(), ids=NOT_SIDECARS.keys())
def test_every_other_document_is_refused_with_one_class(content: bytes) -> None:
    with pytest.raises(ValueError):
        from_sidecar(content)
    assert not is_sidecar("cat.jpg.json", content)


DEEP = "[" * 100_000
HOSTILE = [
    10**400,
    -(10**400),
    1e308 * 10,
    float("nan"),
    True,
    "text",
    "\ud800",
    [],
    [1],
    {},
    {"a": 1},
    2**63,
    None,
    b"x",
]


@pytest.mark.parametrize("name", [field.name for field in fields(Record)])
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:12])
def test_a_value_of_another_kind_is_read_or_refused_with_one_class(name: str, value: Any) -> None:
    """Rows are edited by people, and a copied sidecar may come from anywhere."""
    with contextlib.suppress(ValueError):
        read = from_entity({**to_entity(two_models), ("top_k" if name == "predictions" else name): value})
        assert from_entity(to_entity(read)) == read
    if not isinstance(value, bytes):
        with contextlib.suppress(ValueError):
            read = from_sidecar(json.dumps(json.loads(to_sidecar(two_models)) | {name: value}).encode())
            assert from_sidecar(to_sidecar(read)) == read


@pytest.mark.parametrize("name", ["top_k", "answers", "superseded"])
@pytest.mark.parametrize(
    "text", [DEEP, "[1]", "[[[]]]", '[{"label": 1}]', "{}", "nonsense", "[1e999]", f"[{'9' * 5000}]"]
)
def test_an_edited_list_is_refused_with_one_class(name: str, text: str) -> None:
    entity = {**to_entity(two_models), name: text}
    if text == "{}":  # empty, like an absent one
        assert from_entity(entity)
        return
    with pytest.raises(ValueError):
        from_entity(entity)


def test_a_row_that_names_another_image_is_refused() -> None:
    with pytest.raises(ValueError, match="another image"):
        from_entity({**to_entity(record()), "blob_name": "b.jpg"})


def test_a_large_upload_is_no_sidecar_and_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    content = to_sidecar(record())
    large = content.replace(b"{", b"{" + b" " * 1024 * 1024, 1)
    monkeypatch.setattr(serialization, "from_sidecar", lambda _: pytest.fail("it was read"))
    assert not is_sidecar("cat.jpg.json", large)
    assert not is_sidecar("cat.jpg.json", content.replace(b'"schema_version"', b'"a": 1, "schema_version"', 1))


VERSION_2_COLUMNS = (
    *("damaged", "decoded_fraction", "color_profile", "md5_mismatch", "taken_at", "taken_from"),
    *("camera_make", "camera_model", "camera_serial", "temperature_c", "latitude", "longitude"),
    *("content_md5", "phash", "decision_version"),
)


@pytest.mark.parametrize("outcome", [record(), rejected(), failed, raced, two_models], ids=lambda each: each.blob_name)
def test_a_sidecar_of_version_1_is_read_and_recognised(outcome: Record) -> None:
    """Version 1 has none of the columns that version 2 added, and is otherwise the same."""
    document = json.loads(to_sidecar(outcome)) | {"schema_version": 1}
    for name in VERSION_2_COLUMNS:
        del document[name]
    _VALIDATOR.validate(document)
    content = json.dumps(document).encode()
    assert from_sidecar(content) == outcome
    assert is_sidecar("cat.jpg.json", content)


def test_a_flag_is_true_or_absent() -> None:
    assert "damaged" not in to_entity(record())
    assert json.loads(to_sidecar(record()))["damaged"] is None
    assert to_entity(damaged)["damaged"] is True
    assert json.loads(to_sidecar(damaged))["damaged"] is True
    assert from_sidecar(_changed(damaged=False)).damaged is False


def test_a_copied_sidecar_is_recognised_by_name_and_content() -> None:
    assert is_sidecar("cat.jpg.json", to_sidecar(record()))
    assert not is_sidecar("cat.jpg", to_sidecar(record()))


@pytest.mark.parametrize("columns", [{"note": "mine"}, {**to_entity(record()), "blob_name": 7}, {"status": "lost"}])
def test_a_row_of_another_program_is_skipped_with_a_warning(
    columns: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    partition_key, row_key = image_keys("incoming", "a.jpg")
    assert from_any_entity({**columns, "PartitionKey": partition_key, "RowKey": row_key}) is None
    (message,) = caplog.messages
    assert message.startswith("row_unreadable partition_key='incoming' row_key='a.jpg' error=")


class TestTheAnswerOfACandidate:
    def test_a_sidecar_holds_its_predictions_and_a_row_does_not(self) -> None:
        document = json.loads(to_sidecar(on_trial))
        _VALIDATOR.validate(document)
        assert document["shadow"]["predictions"] == [{"label": "wren", "label_index": 3, "score": 0.875}]
        assert json.loads(to_entity(on_trial)["shadow"]) == {
            "model": "birds",
            "model_version": "1" * 12,
            "label": "wren",
            "label_index": 3,
            "score": 0.875,
        }
        row, sidecar = from_entity(to_entity(on_trial)), from_sidecar(to_sidecar(on_trial))
        assert sidecar == on_trial
        assert row == replace(on_trial, shadow=BIRDS._replace(predictions=()))
        assert same_outcome(sidecar, row)
        _VALIDATOR.validate(json.loads(to_sidecar(row)))  # what reconcile writes for a lost sidecar

    def test_without_one_nothing_is_added(self) -> None:
        assert "shadow" not in to_entity(record())
        assert "shadow" not in json.loads(to_sidecar(record()))
        assert from_sidecar(to_sidecar(record())).shadow is None

    @pytest.mark.parametrize("text", [DEEP, "[1]", "[[]]", '{"label": 1}', "{}", "nonsense", "1e999", "7"])
    def test_an_edited_one_is_refused_with_one_class(self, text: str) -> None:
        with pytest.raises(ValueError):
            from_entity({**to_entity(on_trial), "shadow": text})

    def test_one_that_no_column_holds_is_left_out_of_the_row(self) -> None:
        """A candidate must not keep a row from being written."""
        assert "shadow" not in to_entity(record(shadow=BIRDS._replace(label="w" * MAX_TEXT_UNITS)))


class TestAnswersOfSeveralModels:
    def test_a_row_holds_one_answer_per_model(self) -> None:
        assert json.loads(to_entity(two_models)["answers"]) == [
            {"model": "birds", "model_version": "1" * 12, "label": "wren", "label_index": 3, "score": 0.875},
            {"model": "bats", "model_version": "2" * 12, "label": "unknown", "label_index": None, "score": 0.25},
        ]

    def test_a_sidecar_holds_predictions_too_and_comes_back(self) -> None:
        document = json.loads(to_sidecar(two_models))
        _VALIDATOR.validate(document)
        assert document["answers"][1]["predictions"] == [{"label": "noctule", "label_index": 0, "score": 0.25}]
        assert from_sidecar(to_sidecar(two_models)) == two_models

    def test_a_row_comes_back_without_predictions_and_agrees_with_its_sidecar(self) -> None:
        """Otherwise ``reconcile`` would repair it in every run."""
        row = from_entity(to_entity(two_models))
        assert row == replace(two_models, answers=tuple(answer._replace(predictions=()) for answer in (BIRDS, UNSURE)))
        assert same_outcome(from_sidecar(to_sidecar(two_models)), row)

    @pytest.mark.parametrize("outcome", [record(), rejected()], ids=["one model", "no answer"])
    def test_with_one_model_nothing_is_added(self, outcome: Record) -> None:
        assert "answers" not in to_entity(outcome)
        assert "answers" not in json.loads(to_sidecar(outcome))

    def test_a_column_holds_only_complete_answers(self) -> None:
        many = replace(two_models, answers=(BIRDS._replace(label="w" * 10_000),) * 5)
        text = to_entity(many)["answers"]
        assert len(text.encode("utf-16-le")) // 2 <= MAX_TEXT_UNITS
        assert len(json.loads(text)) == 3
        assert len(from_sidecar(to_sidecar(many)).answers) == 5

    def test_classify_blob_writes_them(self, account: Account) -> None:
        class TwoModels:
            model = ModelIdentity("birds+bats", "3" * 12)

            def classify(self, _content: bytes) -> Classification:
                return Classification(
                    "wren", 3, 0.875, BIRDS.predictions, ImageInfo(8, 6, "png"), self.model, answers=(BIRDS, UNSURE)
                )

        account.upload("wren.png", b"any bytes")
        classify_blob(Stores(account.source, account.results), TwoModels(), account.image("wren.png"))
        row = account.results.read_row(account.image("wren.png"))
        sidecar = account.results.read_sidecar(account.image("wren.png"))
        assert row is not None
        assert row.record is not None
        assert sidecar is not None
        assert sidecar.record is not None
        assert (row.record.label, row.record.model, row.record.model_version) == ("wren", "birds+bats", "3" * 12)
        assert [answer.label for answer in row.record.answers] == ["wren", "unknown"]
        assert sidecar.record.answers == (BIRDS, UNSURE)
