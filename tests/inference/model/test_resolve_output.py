"""The output: which one holds the scores, and how they become probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference import classifier
from inference.errors import ModelError
from inference.model_spec import Activation
from tests.inference.model.loading import LINES, assert_distinguishes_colours, refusal
from tests.inference.model.model_folders import MODEL_JSON, RED, folder, graph, png, zip_map_graph

if TYPE_CHECKING:
    from pathlib import Path


def with_outputs(**outputs: tuple[int, ...]) -> onnx.ModelProto:
    """Return a graph whose only outputs are constants of these shapes."""
    model = graph()
    del model.graph.output[:]
    for name, shape in outputs.items():
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), f"{name}_value"))
        model.graph.node.add(op_type="Identity", input=[f"{name}_value"], output=[name])
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return model


def test_a_detector_is_refused(tmp_path: Path) -> None:
    model = with_outputs(detected_boxes=(1, 64, 4), detected_scores=(1, 64))
    assert "detector" in refusal(folder(tmp_path, model, labels_txt=LINES, model_json=MODEL_JSON))


def test_a_feature_extractor_is_refused(tmp_path: Path) -> None:
    for shape in ((1, 768, 7, 7), (1, 768)):
        path = tmp_path / str(len(shape))
        model = with_outputs(last_hidden_state=shape)
        assert "feature extractor" in refusal(folder(path, model, labels_txt=LINES, model_json=MODEL_JSON))


def test_an_output_with_a_class_number_is_ignored(tmp_path: Path) -> None:
    for place in (0, 1):
        model = graph()
        model.graph.node.add(op_type="ArgMax", input=["logits"], output=["best"])
        info = helper.make_tensor_value_info("best", TensorProto.INT64, ["a", "b"])
        outputs = [*model.graph.output]
        outputs.insert(place, info)
        del model.graph.output[:]
        model.graph.output.extend(outputs)
        path = folder(tmp_path / str(place), model, labels_txt=LINES, model_json=MODEL_JSON)
        assert classifier.load(path).spec.output.name == "logits"


def test_two_possible_outputs_need_a_choice(tmp_path: Path) -> None:
    model = graph(output="first")
    model.graph.node.add(op_type="Neg", input=["first"], output=["second"])
    model.graph.output.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, ["N", 3]))
    path = folder(tmp_path, model, labels_txt=LINES, model_json=MODEL_JSON)
    assert '"output": {"name": "first"}' in refusal(path)
    folder(tmp_path, model, model_json=MODEL_JSON | {"output": {"name": "first"}})
    assert classifier.load(path).classify(png()).label == "red"


@pytest.mark.parametrize("output_shape", [("N", 3), ("N", 3, 1, 1), ("N", 1, 1, 3), (3,)], ids=str)
def test_any_output_shape(tmp_path: Path, output_shape: tuple[Any, ...]) -> None:
    path = folder(tmp_path, graph(output_shape=output_shape), labels_txt=LINES, model_json=MODEL_JSON)
    assert_distinguishes_colours(path)


@pytest.mark.parametrize(
    ("last_operators", "activation", "total"),
    [
        pytest.param((), Activation.SOFTMAX, 1, id="logits"),
        pytest.param(("Softmax",), Activation.NONE, 1, id="softmax is not applied twice"),
        pytest.param(("Softmax", "Identity"), Activation.NONE, 1, id="softmax behind another operator"),
        pytest.param(("LogSoftmax",), Activation.EXP, 1, id="log-probabilities"),
        pytest.param(("Sigmoid",), Activation.NONE, None, id="sigmoids"),
    ],
)
def test_the_graph_distinguishes_logits_from_probabilities(
    tmp_path: Path, last_operators: tuple[str, ...], activation: Activation, total: float | None
) -> None:
    path = folder(tmp_path, graph(operators=last_operators), labels_txt=LINES, model_json=MODEL_JSON)
    model = classifier.load(path)
    assert model.spec.output.activation is activation
    scores = [prediction.score for prediction in model.classify(png((255, 128, 0))).predictions]
    if total is None:
        expected = [1 / (1 + np.exp(-mean)) for mean in (1, 128 / 255, 0)]
    else:
        expected = list(np.exp([1, 128 / 255, 0]) / np.exp([1, 128 / 255, 0]).sum())
    assert scores == pytest.approx(expected, abs=1e-5)


def test_a_second_softmax_is_refused(tmp_path: Path) -> None:
    model_json = MODEL_JSON | {"output": {"activation": "softmax"}}
    path = folder(tmp_path, graph(operators=("Softmax",)), labels_txt=LINES, model_json=model_json)
    assert 'already comes out of Softmax: write "activation": "none"' in refusal(path)


def test_an_uncertain_last_operator_needs_an_activation(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(operators=("Exp",)), labels_txt=LINES, model_json=MODEL_JSON)
    assert '"output": {"activation": "none"}' in refusal(path)


def test_a_background_class_must_be_stated(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(classes=4), labels_txt=LINES, model_json=MODEL_JSON)
    assert '"output": {"background": "first"}' in refusal(path)
    folder(path, graph(classes=4), model_json=MODEL_JSON | {"output": {"background": "first"}})
    answer = classifier.load(path).classify(png((0, 255, 0)))
    assert (answer.label, answer.label_index) == ("red", 0), "class 1 is label 0"
    folder(path, graph(classes=4), model_json=MODEL_JSON | {"output": {"background": "last"}})
    assert classifier.load(path).classify(png((0, 255, 0))).label == "green"


@pytest.mark.parametrize("keys", [["red", "blue", "green"], ["green", "red", "blue"]], ids=str)
def test_the_string_keys_of_a_zipmap_are_labels_in_any_order(tmp_path: Path, keys: list[str]) -> None:
    path = folder(tmp_path, zip_map_graph(keys), model_json=MODEL_JSON, labels_txt="\n".join(sorted(keys)))
    answer = classifier.load(path).classify(png(RED))
    assert answer.label == keys[0]
    assert answer.label_index == sorted(keys).index(keys[0])


def test_the_integer_keys_of_a_zipmap_are_class_indices(tmp_path: Path) -> None:
    path = folder(tmp_path, zip_map_graph([2, 0, 1]), model_json=MODEL_JSON, labels_txt=LINES)
    assert classifier.load(path).classify(png(RED)).label == "blue"


def test_string_keys_that_are_not_labels_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, zip_map_graph(["a", "b", "c"]), model_json=MODEL_JSON, labels_txt=LINES)
    with pytest.raises(ModelError, match=r"\['a', 'b', 'c'\], but labels.txt says .*'red'"):
        classifier.load(path)
