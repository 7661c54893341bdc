"""The refusal of an incomplete folder lists everything at once, as a ``model.json`` to fill in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from inference import classifier
from inference.model.exporters import model_json
from inference.model.refusals.missing_values import DESCRIPTIONS, IncompleteModelError
from tests.inference.model.loading import LINES, NAMES, refusal
from tests.inference.model.model_folders import MODEL_JSON, PIXELS_JSON, RED, folder, graph, png

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS: dict[str, Any] = {
    "labels": NAMES,
    "input": {
        "layout": "NCHW", "color_order": "RGB", "size": [8, 8], "resize": "squash",
        "scale": 1 / 255, "mean": 0, "std": 1,
    },
    "output": {"activation": "softmax", "name": "logits"},
}  # fmt: skip


def block(message: str) -> dict[str, Any]:
    """Return the ``model.json`` at the end of a refusal."""
    found: dict[str, Any] = json.loads(message[message.index(": {") + 2 :])
    return found


def filled(template: dict[str, Any], answers: dict[str, Any] = ANSWERS) -> dict[str, Any]:
    """Return the block with an answer for each ``"?"``."""
    return {
        key: filled(value, answers[key]) if isinstance(value, dict) else answers[key] if value == "?" else value
        for key, value in template.items()
    }


def questions(template: dict[str, Any]) -> set[str]:
    sections = {"": template} | {f"{key}.": value for key, value in template.items() if isinstance(value, dict)}
    return {f"{section}{key}" for section, part in sections.items() for key, value in part.items() if value == "?"}


@pytest.mark.parametrize(
    ("model", "files", "asked"),
    [
        pytest.param(
            graph(operators=("Exp",)),
            {},
            {"labels", "input.color_order", "input.resize", "input.scale", "input.mean", "input.std",
             "output.activation"},
            id="a graph alone",
        ),
        pytest.param(graph(operators=("Softmax",)), {"labels_txt": LINES, "model_json": {"input": {"scale": 1}}},
                     {"input.color_order", "input.resize"}, id="what is known is not asked"),
        pytest.param(graph(operators=("Softmax", "Exp")), {"model_json": PIXELS_JSON},
                     {"labels", "output.activation"}, id="only the output"),
        pytest.param(
            graph(shape=("N", "x", "y", "z"), operators=("Softmax",)),
            {"labels_txt": LINES},
            {"input.layout", "input.size", "input.color_order", "input.resize", "input.scale", "input.mean",
             "input.std"},
            id="a graph of any size",
        ),
        pytest.param(
            graph(operators=("Softmax",)),
            {"labels_txt": LINES,
             "model_json": {"input": {"color_order": "?", "scale": 1, "mean": ["?", "?", "?"], "resize": "squash"}}},
            {"input.color_order"},
            id="a block half filled in",
        ),
    ],
)  # fmt: skip
def test_one_refusal_lists_everything_that_is_missing(
    tmp_path: Path, model: onnx.ModelProto, files: dict[str, Any], asked: set[str]
) -> None:
    path = folder(tmp_path, model, **files)
    message = refusal(path)
    template = block(message)
    assert questions(template) == asked
    for key in asked:
        assert f"{key.rpartition('.')[2]}: " in message, "with its allowed values"


def test_the_block_is_a_model_json_once_the_answers_are_in(tmp_path: Path) -> None:
    path = folder(
        tmp_path, graph(operators=("Exp",)), model_json={"name": "mine", "input": {"interpolation": "bicubic"}}
    )
    template = block(refusal(path))
    assert template["name"] == "mine", "a model.json that is there is part of the block"
    folder(path, graph(operators=("Exp",)), model_json=filled(template))
    spec = classifier.load(path).spec
    assert (spec.labels, spec.identity.name, spec.input.interpolation) == (tuple(NAMES), "mine", "bicubic")
    assert classifier.load(path).classify(png(RED)).label == "red"


def test_of_a_long_file_the_missing_keys_are_shown_alone(tmp_path: Path) -> None:
    labels = [f"a label with a long name {number}" for number in range(300)]
    content = {"labels": labels, "input": {"color_order": "RGB", "scale": 1}}
    message = refusal(folder(tmp_path, graph(classes=300, operators=("Softmax",)), model_json=content))
    assert block(message) == {"input": {"resize": "?"}}
    assert "write these keys into model.json" in message


def test_a_block_that_is_pasted_as_it_is_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(operators=("Exp",)), labels_txt=LINES)
    template = block(refusal(path))
    folder(path, graph(operators=("Exp",)), model_json=template)
    message = refusal(path)
    assert block(message) == template
    assert "color_order: RGB, BGR or GREY" in message
    folder(path, graph(operators=("Exp",)), model_json=filled(template) | {"labels": "?"})
    assert "labels: a list of names" in refusal(path), "also where a label file is there"


def test_a_question_as_graph_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(), labels_txt=LINES, model_json=MODEL_JSON | {"graph": "?"})
    assert '"graph" is "?": write the name' in refusal(path)


@pytest.mark.parametrize(
    "key",
    sorted(
        f"{section}.{key}" if section else key
        for section, keys in model_json.KEYS.items()
        for key in keys - {"$schema", "graph", "input", "output", "sources"}
    ),
)
def test_every_key_has_a_description_and_its_allowed_values(tmp_path: Path, key: str) -> None:
    assert all(DESCRIPTIONS[key])
    section, _, name = key.rpartition(".")
    content: dict[str, Any] = {section: {name: "?"}} if section else {name: "?"}
    message = refusal(folder(tmp_path, graph(operators=("Softmax",)), labels_txt=LINES, model_json=content))
    assert DESCRIPTIONS[key][0] in message
    assert f"{name}: {DESCRIPTIONS[key][1]}" in message


def test_the_refusal_names_what_the_graph_begins_with(tmp_path: Path) -> None:
    model = graph(operators=("Softmax",))
    model.graph.node.insert(0, helper.make_node("Div", ["input", "divisor"], ["scaled"]))
    model.graph.node[1].input[0] = "scaled"
    model.graph.initializer.append(numpy_helper.from_array(np.array([127.5], np.float32), "divisor"))
    path = folder(tmp_path, model, labels_txt=LINES)
    with pytest.raises(IncompleteModelError) as refused:
        classifier.load(path)
    assert "the graph begins with Div 127.5, Cast, ReduceMean: it rescales its own pixels" in str(refused.value)
    assert set(refused.value.missing) == {
        "input.color_order", "input.resize", "input.scale", "input.mean", "input.std"
    }  # fmt: skip


def test_a_detector_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    message = refusal(folder(tmp_path, graph(output="bbox_scores", classes=8), labels_txt=LINES))
    assert "detector" in message
    assert "?" not in message
