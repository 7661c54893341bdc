"""``model.json``: its keys, its values and its schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from inference import classifier
from inference.errors import ModelError
from inference.model.exporters.model_json import KEYS
from tests.inference.model.loading import LINES, refusal, with_input
from tests.inference.model.model_folders import MODEL_JSON, folder, graph

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize(
    ("model_json", "sentence"),
    [
        pytest.param(with_input(colour_order="RGB"), 'unknown key "colour_order".*mean "color_order"', id="typo"),
        pytest.param({"inputs": {}}, 'unknown key "inputs".*"input"', id="typo at the top"),
        pytest.param(with_input(color_order="RBG"), "'RBG'.*one of RGB, BGR, GREY", id="no such order"),
        pytest.param(with_input(scale="1/255"), "input.scale is '1/255'.*number above 0", id="text for a number"),
        pytest.param(with_input(scale=0), "number above 0", id="zero scale"),
        pytest.param(with_input(std=[1, 0, 1]), "none of them 0", id="zero std"),
        pytest.param(with_input(mean=[1, 2]), "list of 3", id="two means for three channels"),
        pytest.param(with_input(mean=float("nan")), "a number or a list", id="NaN"),
        pytest.param(with_input(size=[9, 9]), "input.size says .9, 9., but input input.*8, 8", id="another size"),
        pytest.param(with_input(size=[0, 8]), "from 1 to 8192", id="no size"),
        pytest.param(with_input(layout="NHWC"), "says .NHWC., but", id="another layout"),
        pytest.param(with_input(color_order="GREY"), "says .GREY., but", id="grey for three channels"),
        pytest.param(with_input(resize="shortest_side_crop"), '"shortest_side": "\\?"', id="a crop from nothing"),
        pytest.param(
            with_input(resize="shortest_side_crop", shortest_side=7), "7, smaller than the input", id="small side"
        ),
        pytest.param(with_input(pad_color=[0, 0]), "red, green, blue", id="pad colour"),
        pytest.param({"input": []}, '"input" must be an object', id="not an object"),
        pytest.param(MODEL_JSON | {"graph": "../elsewhere.onnx"}, "leads out of the folder", id="a graph elsewhere"),
        pytest.param(MODEL_JSON | {"graph": "other.onnx"}, "not there", id="a graph that is not there"),
        pytest.param(MODEL_JSON | {"labels": "/etc/passwd"}, "leads out of the folder", id="labels elsewhere"),
        pytest.param(MODEL_JSON | {"output": {"name": "nothing"}}, "graph has logits", id="no such output"),
        pytest.param(MODEL_JSON | {"output": {"activation": "none"}}, None, id="probabilities, says its author"),
    ],
)  # fmt: skip
def test_an_invalid_value_is_refused_by_its_key(tmp_path: Path, model_json: Any, sentence: str | None) -> None:
    path = folder(tmp_path, graph(), labels_txt=LINES, model_json=model_json)
    if sentence is None:
        classifier.load(path)
    else:
        with pytest.raises(ModelError, match=sentence):
            classifier.load(path)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "\ud800"])
def test_broken_json_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = folder(tmp_path, graph(), labels_txt=LINES)
    (path / "model.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert "model.json" in refusal(path)


SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "model.schema.json").read_text(encoding="utf-8"))


def test_the_schema_has_the_keys_of_the_reader() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == KEYS[""]
    for section in ("input", "output"):
        assert set(SCHEMA["properties"][section]["properties"]) == KEYS[section]


@pytest.mark.parametrize(
    "model_json", [MODEL_JSON, MODEL_JSON | {"output": {"background": "last"}, "labels": ["a"]}], ids=str
)
def test_the_schema_accepts_a_valid_model_json(model_json: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(model_json)


@pytest.mark.parametrize(
    "model_json",
    [with_input(scale=0), with_input(color_order="RBG"), {"inputs": {}}, with_input(size=[0, 8]), {"labels": 3}],
    ids=str,
)
def test_the_schema_refuses_an_invalid_model_json(model_json: dict[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(model_json)


def test_the_shipped_model_json_is_valid() -> None:
    shipped = json.loads((ROOT / "models" / "shapes" / "model.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(shipped)
