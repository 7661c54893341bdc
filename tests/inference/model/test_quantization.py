"""Quantized inputs and outputs, as TFLite's converters leave them: the tensor and the scores against arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from inference import classifier
from inference.errors import ModelError
from inference.model.graph import nodes as graph_nodes
from inference.model_spec import Activation, Quantization
from tests.inference.model.loading import LINES, NAMES, preprocess_alone, refusal
from tests.inference.model.model_folders import BLUE, GREEN, RED, folder, integers_without_a_scale, noise, png

if TYPE_CHECKING:
    from pathlib import Path

UINT8, INT8, FLOAT = TensorProto.UINT8, TensorProto.INT8, TensorProto.FLOAT
NODE = helper.make_node
NUMPY = {UINT8: np.uint8, INT8: np.int8}
IMAGENET = {"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
WHOLE_IMAGE = {"color_order": "RGB", "resize": "squash"}


def quantized(
    *,
    kind: int = UINT8,
    step: tuple[float, int] = (1 / 127.5, 128),
    out: int | None = UINT8,
    out_step: tuple[float, int] = (1 / 256, 0),
    last: str = "Softmax",
    as_constants: bool = False,
) -> onnx.ModelProto:
    """Return a graph whose logits are 8 times the channel means of the real numbers that its input stands for.

    Args:
        kind: The input's type; ``FLOAT`` for an input that is not quantized.
        step: The input's scale and zero point.
        out: The output's type, ``None`` for float.
        out_step: The output's scale and zero point.
        last: ``Softmax``, or ``Identity`` for logits.
        as_constants: Put scales and zero points into ``Constant`` nodes, with ``int32_data`` for the integers.
    """
    constants: list[onnx.TensorProto] = [numpy_helper.from_array(np.float32(8), "gain")]

    def state(prefix: str, dtype: int, numbers: tuple[float, int]) -> list[str]:
        constants.append(helper.make_tensor(f"{prefix}_scale", FLOAT, [], [numbers[0]]))
        constants.append(helper.make_tensor(f"{prefix}_zero", dtype, [], [numbers[1]]))
        return [f"{prefix}_scale", f"{prefix}_zero"]

    nodes, real = [], "image"
    if kind != FLOAT:
        nodes = [
            NODE("Transpose", ["image"], ["moved"], perm=[0, 1, 2, 3]),
            NODE("DequantizeLinear", ["moved", *state("in", kind, step)], ["real"]),
        ]
        real = "real"
    nodes += [
        NODE("ReduceMean", [real], ["means"], axes=[1, 2], keepdims=0),
        NODE("Mul", ["means", "gain"], ["logits"]),
        NODE(last, ["logits"], ["result" if out is not None else "scores"]),
    ]
    if out is not None:
        nodes.append(NODE("QuantizeLinear", ["result", *state("out", out, out_step)], ["flat"]))
        nodes.append(NODE("Identity", ["flat"], ["scores"]))
    if as_constants:
        nodes = [NODE("Constant", [], [each.name], value=each) for each in constants] + nodes
        constants = []
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes, "quantized", [value("image", kind, ["N", 8, 8, 3])], [value("scores", out or FLOAT, ["N", 3])], constants
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def with_formula(**formula: Any) -> dict[str, Any]:
    return {"input": WHOLE_IMAGE | formula}


def softmax(values: Any) -> np.ndarray[Any, Any]:
    exponentials = np.exp(np.array(values, np.float64))
    result: np.ndarray[Any, Any] = exponentials / exponentials.sum()
    return result


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Any]] = {
    "uint8, -1 to 1": ({}, {}, lambda pixels: pixels),
    "uint8, 0 to 1": ({"step": (1 / 255, 0)}, {}, lambda pixels: pixels),
    "uint8, 0 to 255": ({"step": (1.0, 0)}, {}, lambda pixels: pixels),
    "uint8, calibrated": ({"step": (0.007843112, 128)}, {}, lambda pixels: pixels),
    "int8, -1 to 1": ({"kind": INT8, "step": (1 / 127.5, 0)}, {}, lambda pixels: pixels - 128),
    "int8, 0 to 1": ({"kind": INT8, "step": (1 / 255, -128)}, {}, lambda pixels: pixels - 128),
    "uint8, ImageNet": (
        {"step": (0.0187, 114)},
        IMAGENET,
        lambda pixels: np.rint((pixels / 255 - IMAGENET["mean"]) / IMAGENET["std"] / np.float32(0.0187)) + 114,
    ),
    "int8, ImageNet": (
        {"kind": INT8, "step": (0.0187, -14)},
        IMAGENET,
        lambda pixels: np.rint((pixels / 255 - IMAGENET["mean"]) / IMAGENET["std"] / np.float32(0.0187)) - 14,
    ),
    "uint8, stated -1 to 1": (
        {"step": (1 / 120, 120)},
        {"scale": 1 / 127.5, "mean": 1},
        lambda pixels: np.clip(np.rint((pixels / 127.5 - 1) / np.float32(1 / 120)) + 120, 0, 255),
    ),
    "constants in nodes": (
        {"kind": INT8, "step": (1 / 127.5, -1), "as_constants": True},
        {},
        lambda pixels: pixels - 128,
    ),
}
"""The graph, the formula that ``model.json`` states, and the tensor of the pixels."""


@pytest.mark.parametrize(("options", "formula", "expected"), CASES.values(), ids=CASES)
def test_the_tensor_is_the_integer_that_stands_for_the_normalized_pixel(
    tmp_path: Path, options: dict[str, Any], formula: dict[str, Any], expected: Any
) -> None:
    path = folder(tmp_path, quantized(**options), labels_txt=LINES, model_json=with_formula(**formula))
    image = noise(8, 8)
    tensor = preprocess_alone(classifier.load(path).spec.input, image)
    assert tensor.dtype == NUMPY[options.get("kind", UINT8)]
    difference = tensor.astype(int) - expected(np.asarray(image, np.float64))
    assert np.abs(difference).max() <= (1 if formula else 0)  # float32 against float64 at a half
    assert np.mean(difference != 0) < 0.01
    model = classifier.load(path)
    for name, color in zip(NAMES, (RED, GREEN, BLUE), strict=True):
        assert model.classify(png(color)).label == name


OUTPUTS: dict[str, tuple[dict[str, Any], Activation, Quantization | None]] = {
    "uint8 softmax": ({}, Activation.NONE, Quantization(1 / 256, 0)),
    "int8 softmax": ({"out": INT8, "out_step": (1 / 256, -128)}, Activation.NONE, Quantization(1 / 256, -128)),
    "another scale": ({"out_step": (0.005, 3)}, Activation.NONE, Quantization(0.005, 3)),
    "float": ({"out": None}, Activation.NONE, None),
    "float in, uint8 out": ({"kind": FLOAT}, Activation.NONE, Quantization(1 / 256, 0)),
    "int8 in, float out": ({"kind": INT8, "step": (1 / 127.5, 0), "out": None}, Activation.NONE, None),
    "logits": ({"last": "Identity", "out_step": (0.1, 100)}, Activation.SOFTMAX, Quantization(0.1, 100)),
    "int8 logits": (
        {"last": "Identity", "out": INT8, "out_step": (0.1, -20)},
        Activation.SOFTMAX,
        Quantization(0.1, -20),
    ),
}


@pytest.mark.parametrize(("options", "activation", "quantization"), OUTPUTS.values(), ids=OUTPUTS)
def test_the_scores_are_the_numbers_that_the_integers_stand_for(
    tmp_path: Path, options: dict[str, Any], activation: Activation, quantization: Quantization | None
) -> None:
    formula = {"scale": 1 / 127.5, "mean": 1} if options.get("kind") == FLOAT else {}
    output = {"output": {"activation": "softmax"}} if options.get("last") else {}
    path = folder(tmp_path, quantized(**options), labels_txt=LINES, model_json=with_formula(**formula) | output)
    model = classifier.load(path)
    assert model.spec.output.activation is activation
    found = model.spec.output.quantization
    assert (found is None) == (quantization is None)
    if found and quantization:
        assert found.scale == pytest.approx(quantization.scale)
        assert found.zero_point == quantization.zero_point
    color = (180, 128, 90)
    scores = {each.label: each.score for each in model.classify(png(color)).predictions}
    expected = softmax([8 * (channel / 127.5 - 1) for channel in color])
    assert [scores[name] for name in NAMES] == pytest.approx(list(expected), abs=0.03)
    again = folder(
        tmp_path / "again", quantized(**options), labels_txt=LINES, model_json=with_formula(**formula) | output
    )
    assert classifier.load(again).model.version == model.model.version


@pytest.mark.parametrize("end", ["LogSoftmax", "Identity"])
def test_the_scale_of_probabilities_is_evidence_where_the_operator_is_none(tmp_path: Path, end: str) -> None:
    """TFLite fixes 1/256 for a softmax; here an ``Add`` of 0 hides the operator."""
    model = quantized()
    softmax_node = next(node for node in model.graph.node if node.op_type == "Softmax")
    softmax_node.output[0] = "hidden"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0), "nothing"))
    place = list(model.graph.node).index(softmax_node) + 1
    model.graph.node.insert(place, NODE("Add", ["hidden", "nothing"], ["result"]))
    if end == "LogSoftmax":  # another scale is no evidence: the test runs decide
        next(each for each in model.graph.initializer if each.name == "out_scale").float_data[0] = 0.004
    spec = classifier.load(folder(tmp_path, model, labels_txt=LINES, model_json=with_formula())).spec
    assert spec.output.activation is Activation.NONE
    assert ("1/256" in spec.values["output.activation"].source) == (end == "Identity")


def test_what_no_operator_states_is_asked_and_read_from_model_json(tmp_path: Path) -> None:
    model = integers_without_a_scale(INT8, INT8)
    path = folder(tmp_path, model, labels_txt=LINES, model_json=with_formula(scale=1 / 255))
    message = refusal(path)
    assert message.count("[scale, zero point]") == 2
    assert '"quantization": "?"' in message
    stated = {
        "input": WHOLE_IMAGE | {"scale": 1 / 255, "quantization": [1 / 255, -128]},
        "output": {"activation": "none", "quantization": [1 / 256, -128]},
    }
    spec = classifier.load(folder(path, model, model_json=stated)).spec
    np.testing.assert_array_equal(preprocess_alone(spec.input, noise(8, 8)), np.asarray(noise(8, 8), int) - 128)
    scores = {each.label: each.score for each in classifier.load(path).classify(png((200, 100, 50))).predictions}
    assert scores == pytest.approx({"red": 200 / 256, "green": 100 / 256, "blue": 50 / 256})


def test_the_values_are_listed_and_written(tmp_path: Path) -> None:
    """A ``model.json`` that states every value gives the same model."""
    from tools.model.model_json import resolved_values, to_model_json

    for number, options in enumerate(({"kind": INT8, "step": (1 / 127.5, -1)}, {}, {"step": (0.0187, 114)})):
        formula = IMAGENET if number == 2 else {}
        path = folder(
            tmp_path / str(number), quantized(**options), labels_txt=LINES, model_json=with_formula(**formula)
        )
        spec = classifier.load(path).spec
        listed = {each.key: each.value for each in resolved_values(spec)}
        assert listed["output.quantization"] == [1 / 256, 0]
        assert ("input.quantization" in listed) == (number != 1), "a uint8 input that takes the pixels needs none"
        folder(path, quantized(**options), model_json=to_model_json(spec, "m"))
        assert classifier.load(path).model.version == spec.identity.version


@pytest.mark.parametrize(("kind", "zero_point"), [(INT8, -14), (UINT8, 114)], ids=["int8", "uint8"])
def test_sub_and_mul_of_tf2onnx_dequantize_are_a_quantization(tmp_path: Path, kind: int, zero_point: int) -> None:
    """``tf2onnx --dequantize`` writes Cast, Sub and Mul; so does a graph that normalizes pixels itself."""
    model = quantized(kind=kind, step=(0.0187, zero_point))
    place = next(number for number, node in enumerate(model.graph.node) if node.op_type == "DequantizeLinear")
    del model.graph.node[place]
    model.graph.initializer.append(numpy_helper.from_array(np.float32(zero_point), "in_zero_float"))
    for number, node in enumerate([
        NODE("Cast", ["moved"], ["float"], to=FLOAT),
        NODE("Sub", ["float", "in_zero_float"], ["shifted"]),
        NODE("Mul", ["shifted", "in_scale"], ["real"]),
    ]):  # fmt: skip
        model.graph.node.insert(place + number, node)
    path = folder(tmp_path / "stated", model, labels_txt=LINES, model_json=with_formula(**IMAGENET))
    spec = classifier.load(path).spec.input
    assert spec.quantization == pytest.approx((0.0187, zero_point))
    plain = folder(tmp_path / "plain", model, labels_txt=LINES, model_json=with_formula())
    if kind == INT8:
        assert '"scale": "?"' in refusal(plain)
    else:
        np.testing.assert_array_equal(preprocess_alone(classifier.load(plain).spec.input, noise(8, 8)), noise(8, 8))


def test_a_range_of_its_own_needs_the_formula(tmp_path: Path) -> None:
    """-2.1 to 2.6 is ImageNet's normalization: the pixels themselves would be wrong."""
    path = folder(tmp_path, quantized(step=(0.0187, 114)), labels_txt=LINES, model_json=with_formula())
    message = refusal(path)
    assert '"scale": "?"' in message
    assert "the integers of input image stand for -2.132 to 2.637" in message


CONTRADICTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "-1 to 1 in 0 to 1": (
        {"step": (1 / 255, 0)},
        with_formula(scale=1 / 127.5, mean=1),
        "takes 0 to 1 (scale 0.003922, zero point 0)",
    ),
    "0 to 1 in 0 to 255": ({"step": (1.0, 0)}, with_formula(scale=1 / 255), "takes 0 to 255"),
    "another scale": ({}, with_formula(quantization=[0.5, 3]), "the graph gives input image the scale 0.00784314"),
    "a float input": (
        {"kind": FLOAT, "out": None},
        with_formula(scale=1, quantization=[1, 0]),
        "is for integers, but input image is float32",
    ),
    "a float output": (
        {"out": None},
        with_formula() | {"output": {"quantization": [1, 0]}},
        "is for integers, but output scores is float32",
    ),
}


@pytest.mark.parametrize(("options", "stated", "sentence"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradictions_are_refused(
    tmp_path: Path, options: dict[str, Any], stated: dict[str, Any], sentence: str
) -> None:
    assert sentence in refusal(folder(tmp_path, quantized(**options), labels_txt=LINES, model_json=stated))


@pytest.mark.parametrize("value", [[0, 0], [1, 0.5], [1, 256], [1], 3, ["a", 0]], ids=str)
def test_a_quantization_that_none_can_be_is_refused(tmp_path: Path, value: object) -> None:
    path = folder(tmp_path, quantized(), labels_txt=LINES, model_json=with_formula(quantization=value))
    with pytest.raises(ModelError, match=r"\[scale, zero point\]: a number above 0, and a whole number"):
        classifier.load(path)


def test_constants_of_every_form_are_read(tmp_path: Path) -> None:
    values = {
        "raw": numpy_helper.from_array(np.array([1.5, -2], np.float32), "raw"),
        "floats": helper.make_tensor("floats", FLOAT, [2], [1.5, -2]),
        "int8": helper.make_tensor("int8", INT8, [2], [-128, 127]),
        "uint8": helper.make_tensor("uint8", UINT8, [1], [200]),
        "int32": helper.make_tensor("int32", TensorProto.INT32, [1], [-70000]),
        "half": helper.make_tensor("half", TensorProto.FLOAT16, [1], [0.25]),
        "doubles": helper.make_tensor("doubles", TensorProto.DOUBLE, [1], [0.1]),
        "large": numpy_helper.from_array(np.zeros(5000, np.float32), "large"),
        "text": helper.make_tensor("text", TensorProto.STRING, [1], [b"a"]),
    }
    made = helper.make_graph([], "g", [], [], list(values.values()))
    (tmp_path / "m.onnx").write_bytes(helper.make_model(made).SerializeToString())
    read = graph_nodes.read(tmp_path / "m.onnx")
    expected = {
        "raw": [1.5, -2], "floats": [1.5, -2], "int8": [-128, 127], "uint8": [200], "int32": [-70000], "half": [0.25],
        "doubles": [0.1], "large": [], "text": [], "absent": [],
    }  # fmt: skip
    assert {name: list(read.numbers(name)) for name in expected} == expected


def test_the_picture_of_the_input_is_the_photo(tmp_path: Path) -> None:
    from tools.model.check import to_picture

    path = folder(
        tmp_path, quantized(kind=INT8, step=(0.0187, -14)), labels_txt=LINES, model_json=with_formula(**IMAGENET)
    )
    spec = classifier.load(path).spec.input
    seen = to_picture(spec, preprocess_alone(spec, noise(8, 8))[None])
    assert isinstance(seen, Image.Image)
    assert np.abs(np.asarray(seen, int) - np.asarray(noise(8, 8), int)).max() <= 2
