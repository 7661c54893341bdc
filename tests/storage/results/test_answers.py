"""What several models say of one image, in its row and its sidecar."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from inference.predictions import Answer, Classification, ImageInfo, ModelIdentity, Prediction
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.stores import Stores
from storage.reconcile.repair import same_outcome
from storage.results.serialization import MAX_TEXT_UNITS, from_entity, from_sidecar, to_entity, to_sidecar
from tests.storage.samples import record, rejected

if TYPE_CHECKING:
    from storage.results.record import Record
    from tests.storage.conftest import Account

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/sidecar.schema.json").read_text())

BIRDS = Answer(ModelIdentity("birds", "1" * 12), "wren", 3, 0.875, (Prediction("wren", 3, 0.875),))
UNSURE = Answer(ModelIdentity("bats", "2" * 12), "unknown", None, 0.25, (Prediction("noctule", 0, 0.25),))
BOTH = record(model="birds+bats", answers=(BIRDS, UNSURE))


class TwoModels:
    model = ModelIdentity("birds+bats", "3" * 12)

    def classify(self, _content: bytes) -> Classification:
        return Classification(
            "wren", 3, 0.875, BIRDS.predictions, ImageInfo(8, 6, "png"), self.model, answers=(BIRDS, UNSURE)
        )


def test_a_row_says_what_each_model_says() -> None:
    assert json.loads(to_entity(BOTH)["answers"]) == [
        {"model": "birds", "model_version": "1" * 12, "label": "wren", "label_index": 3, "score": 0.875},
        {"model": "bats", "model_version": "2" * 12, "label": "unknown", "label_index": None, "score": 0.25},
    ]


def test_a_sidecar_says_it_with_predictions_and_comes_back() -> None:
    document = json.loads(to_sidecar(BOTH))
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["answers"][1]["predictions"] == [{"label": "noctule", "label_index": 0, "score": 0.25}]
    assert from_sidecar(to_sidecar(BOTH)) == BOTH


def test_a_row_comes_back_without_the_predictions_and_agrees_with_its_sidecar() -> None:
    """Or reconcile would mend it for ever."""
    row = from_entity(to_entity(BOTH))
    assert row == replace(BOTH, answers=tuple(answer._replace(predictions=()) for answer in BOTH.answers))
    assert same_outcome(from_sidecar(to_sidecar(BOTH)), row)


@pytest.mark.parametrize("outcome", [record(), rejected()], ids=["one model", "no answer"])
def test_with_one_model_nothing_is_added(outcome: Record) -> None:
    assert "answers" not in to_entity(outcome)
    assert "answers" not in json.loads(to_sidecar(outcome))


def test_answers_that_are_too_long_for_a_column_are_cut_whole() -> None:
    many = replace(BOTH, answers=(BIRDS._replace(label="w" * 10_000),) * 5)
    text = to_entity(many)["answers"]
    assert len(text.encode("utf-16-le")) // 2 <= MAX_TEXT_UNITS
    assert len(json.loads(text)) == 3
    assert len(from_sidecar(to_sidecar(many)).answers) == 5


@pytest.mark.parametrize("answers", [1, "x", [1], [{}], [{"model": "a"}], None], ids=repr)
def test_a_sidecar_with_answers_that_are_none_is_not_ours(answers: Any) -> None:
    document = json.loads(to_sidecar(BOTH)) | {"answers": answers}
    with pytest.raises(ValueError, match="sidecar"):
        from_sidecar(json.dumps(document).encode())


def test_settling_writes_them_to_storage(account: Account) -> None:
    account.upload("wren.png", b"any bytes")
    classify_blob(Stores(account.source, account.results), TwoModels(), account.image("wren.png"))
    row = account.results.read_row(account.image("wren.png"))
    sidecar = account.results.read_sidecar(account.image("wren.png"))
    assert row is not None
    assert row.record is not None
    assert sidecar is not None
    assert sidecar.record is not None
    assert (row.record.label, row.record.model, row.record.model_version) == ("wren", "birds+bats", "3" * 12)
    assert [(answer.model.name, answer.label) for answer in row.record.answers] == [
        ("birds", "wren"),
        ("bats", "unknown"),
    ]
    assert sidecar.record.answers == (BIRDS, UNSURE)
