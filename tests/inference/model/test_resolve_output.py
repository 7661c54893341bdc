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
from tests.inference.model.model_folders import MODEL_JSON, PIXELS_JSON, RED, folder, graph, png, zip_map_graph

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
    message = refusal(path)
    assert '"name": "?"' in message
    assert 'name: "first" or "second"' in message
    folder(tmp_path, model, model_json=MODEL_JSON | {"output": {"name": "first", "activation": "softmax"}})
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
    path = folder(
        tmp_path,
        graph(operators=last_operators),
        labels_txt=LINES,
        model_json=PIXELS_JSON if last_operators else MODEL_JSON,
    )
    model = classifier.load(path)
    assert model.spec.output.activation is activation
    scores = [prediction.score for prediction in model.classify(png((255, 128, 0))).predictions]
    if total is None:
        expected = [1 / (1 + np.exp(-mean)) for mean in (1, 128 / 255, 0)]
    else:
        expected = list(np.exp([1, 128 / 255, 0]) / np.exp([1, 128 / 255, 0]).sum())
    assert scores == pytest.approx(expected, abs=1e-5)


def test_a_second_softmax_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(operators=("Softmax",)), labels_txt=LINES, model_json=MODEL_JSON)
    assert 'already comes out of Softmax: write "activation": "none"' in refusal(path)


def test_an_uncertain_last_operator_needs_an_activation(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(operators=("Exp",)), labels_txt=LINES, model_json=PIXELS_JSON)
    message = refusal(path)
    assert '"output": {"activation": "?"}' in message
    assert "its last operator Exp does not show it" in message


def test_a_background_class_must_be_stated(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(classes=4), labels_txt=LINES, model_json=MODEL_JSON)
    message = refusal(path)
    assert '"background": "?"' in message
    assert "4 numbers and labels.txt has 3 labels" in message
    folder(path, graph(classes=4), model_json=MODEL_JSON | {"output": {"background": "first", "activation": "softmax"}})
    answer = classifier.load(path).classify(png((0, 255, 0)))
    assert (answer.label, answer.label_index) == ("red", 0), "class 1 is label 0"
    folder(path, graph(classes=4), model_json=MODEL_JSON | {"output": {"background": "last", "activation": "softmax"}})
    assert classifier.load(path).classify(png((0, 255, 0))).label == "green"


@pytest.mark.parametrize("keys", [["red", "blue", "green"], ["green", "red", "blue"]], ids=str)
def test_the_string_keys_of_a_zipmap_are_labels_in_any_order(tmp_path: Path, keys: list[str]) -> None:
    path = folder(tmp_path, zip_map_graph(keys), model_json=PIXELS_JSON, labels_txt="\n".join(sorted(keys)))
    answer = classifier.load(path).classify(png(RED))
    assert answer.label == keys[0]
    assert answer.label_index == sorted(keys).index(keys[0])


def test_the_integer_keys_of_a_zipmap_are_class_indices(tmp_path: Path) -> None:
    path = folder(tmp_path, zip_map_graph([2, 0, 1]), model_json=PIXELS_JSON, labels_txt=LINES)
    assert classifier.load(path).classify(png(RED)).label == "blue"


def test_string_keys_that_are_not_labels_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, zip_map_graph(["a", "b", "c"]), model_json=MODEL_JSON, labels_txt=LINES)
    with pytest.raises(ModelError, match=r"\['a', 'b', 'c'\], but labels.txt says .*'red'"):
        classifier.load(path)


def graph_with_end(*nodes: onnx.NodeProto, classes: int = 3, kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """Return the graph of channel means with these nodes, from ``logits`` to ``end``, behind its logits."""
    model = graph(classes=classes)
    model.graph.initializer.append(numpy_helper.from_array(np.array([classes], np.int64), "all"))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "half"))
    model.graph.node.extend(nodes)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("end", kind, None))
    return model


NODE = helper.make_node
PROBABILITIES = NODE("Softmax", ["logits"], ["p"])
ENSEMBLES = {
    "weighted sum": [PROBABILITIES, NODE("Add", ["p", "p"], ["sum"]), NODE("Mul", ["sum", "half"], ["end"])],
    "mean over views": [
        PROBABILITIES,
        NODE("Concat", ["p", "p"], ["views"], axis=0),
        NODE("ReduceMean", ["views"], ["end"], axes=[0], keepdims=1),
    ],
    "softmax by hand": [
        NODE("Exp", ["logits"], ["e"]),
        NODE("ReduceSum", ["e"], ["total"], keepdims=1),
        NODE("Div", ["e", "total"], ["end"]),
    ],
}


@pytest.mark.parametrize("nodes", ENSEMBLES.values(), ids=ENSEMBLES)
def test_probabilities_get_no_second_softmax(tmp_path: Path, nodes: list[onnx.NodeProto]) -> None:
    path = folder(tmp_path, graph_with_end(*nodes), labels_txt=LINES, model_json=PIXELS_JSON)
    model = classifier.load(path)
    assert model.spec.output.activation is Activation.NONE
    assert model.classify(png(RED)).score == pytest.approx(np.e / (np.e + 2), abs=1e-5)


def test_a_mean_of_sigmoids_is_asked_about(tmp_path: Path) -> None:
    nodes = [NODE("Sigmoid", ["logits"], ["p"]), NODE("Mean", ["p", "p"], ["end"])]
    path = folder(tmp_path, graph_with_end(*nodes), labels_txt=LINES, model_json=PIXELS_JSON)
    assert "its last operator Mean does not show it" in refusal(path)


@pytest.mark.parametrize("first", [[], [PROBABILITIES]], ids=["logits", "probabilities"])
def test_sorted_scores_are_refused(tmp_path: Path, first: list[onnx.NodeProto]) -> None:
    nodes = [*first, NODE("TopK", ["p" if first else "logits", "all"], ["end", "indices"], axis=1)]
    path = folder(tmp_path, graph_with_end(*nodes), labels_txt=LINES, model_json=PIXELS_JSON)
    assert "holds sorted scores (TopK)" in refusal(path)


def test_a_class_number_alone_is_refused_with_the_way_out(tmp_path: Path) -> None:
    model = graph_with_end(NODE("ArgMax", ["logits"], ["end"], axis=1), kind=TensorProto.INT64)
    assert "comes out of ArgMax" in refusal(folder(tmp_path, model, labels_txt=LINES, model_json=MODEL_JSON))


@pytest.mark.parametrize("last", [[], ["Sigmoid"]], ids=["logit", "sigmoid"])
def test_one_number_for_one_label_is_never_a_softmax(tmp_path: Path, last: list[str]) -> None:
    model = graph(classes=1, operators=last)
    answer = classifier.load(folder(tmp_path / "one", model, labels_txt="red", model_json=PIXELS_JSON))
    assert answer.classify(png(RED)).score == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-5)
    assert "is 1 for every photo" in refusal(folder(tmp_path / "two", model, labels_txt="red", model_json=MODEL_JSON))
    ends = graph(classes=1, operators=["Softmax"])
    assert "is 1 for every photo" in refusal(folder(tmp_path / "three", ends, labels_txt="red", model_json=PIXELS_JSON))


@pytest.mark.parametrize("last", [[], ["Sigmoid"]], ids=["logit", "sigmoid"])
def test_one_number_for_two_labels_belongs_to_the_positive_one(tmp_path: Path, last: list[str]) -> None:
    model, chance = graph(classes=1, operators=last), 1 / (1 + np.exp(-1))
    keras = folder(tmp_path / "keras", model, class_indices_json={"other": 0, "red": 1}, model_json=PIXELS_JSON)
    answer = classifier.load(keras).classify(png(RED))
    assert [(each.label, each.label_index) for each in answer.predictions] == [("red", 1), ("other", 0)]
    assert [each.score for each in answer.predictions] == pytest.approx([chance, 1 - chance], abs=1e-5)

    asked = folder(tmp_path / "asked", model, labels_txt="red\nother", model_json=PIXELS_JSON)
    assert 'positive: "other" or "red"' in refusal(asked)
    for positive in ("red", 0):
        folder(asked, model, model_json=PIXELS_JSON | {"output": {"positive": positive}})
        answer = classifier.load(asked).classify(png(RED))
        assert (answer.label, answer.label_index) == ("red", 0)
    folder(asked, model, model_json=PIXELS_JSON | {"output": {"positive": "blue"}})
    assert "the labels are red and other" in refusal(asked)
