"""The operators that a graph begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference.model.refusals.graph_start import in_words, read

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = np.ones((4, 3, 3, 3), np.float32)


def starting_with(path: Path, *steps: tuple[str, Any], as_constants: bool = False) -> str:
    """Write a graph of these operators, each with its constant or ``None``, then Conv; return the words."""
    nodes: list[onnx.NodeProto] = []
    initializers: list[onnx.TensorProto] = []
    tensor = "input"
    for number, (operator, value) in enumerate(steps):
        inputs = [tensor]
        if value is not None:
            array = numpy_helper.from_array(np.asarray(value), f"constant{number}")
            inputs.append(array.name)
            if as_constants:
                nodes.insert(0, helper.make_node("Constant", [], [array.name], value=array))
            else:
                initializers.append(array)
        attributes = {"to": TensorProto.FLOAT} if operator == "Cast" else {}
        nodes.append(helper.make_node(operator, inputs, [f"step{number}"], **attributes))
        tensor = f"step{number}"
    nodes.append(helper.make_node("Conv", [tensor, "weights"], ["features"]))
    nodes.append(helper.make_node("Relu", ["features"], ["output"]))
    value_info = helper.make_tensor_value_info
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "start",
            [value_info("input", TensorProto.FLOAT, [1, 3, 8, 8])],
            [value_info("output", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(WEIGHTS, "weights"), *initializers],
        )
    )
    file = path / "model.onnx"
    file.write_bytes(model.SerializeToString())
    return in_words(read(file, "input"))


@pytest.mark.parametrize("as_constants", [False, True], ids=["initializers", "constants"])
def test_constants_are_shown_with_their_values(tmp_path: Path, *, as_constants: bool) -> None:
    keras = (("Mul", np.float32(1 / 127.5)), ("Add", np.full((1, 3, 1, 1), -1, np.float32)))
    words = starting_with(tmp_path, *keras, as_constants=as_constants)
    assert words == "Mul 0.00784314, Add -1, Conv: it rescales its own pixels"
    per_channel = (("Sub", np.array([123.5, 116.25, 103.0], np.float32).reshape(1, 3, 1, 1)), ("Div", np.float16(58)))
    words = starting_with(tmp_path, *per_channel, as_constants=as_constants)
    assert words == "Sub [123.5 116.25 103], Div 58, Conv: it rescales its own pixels"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((), "Conv: it does not rescale its pixels"),
        ((("Cast", None), ("Transpose", None)), "Cast, Transpose, Conv: it does not rescale its pixels"),
    ],
)
def test_a_graph_that_does_not_rescale(tmp_path: Path, steps: tuple[tuple[str, Any], ...], words: str) -> None:
    assert starting_with(tmp_path, *steps) == words


def test_a_sum_of_two_tensors_is_no_rescaling(tmp_path: Path) -> None:
    node = helper.make_node("Add", ["input", "input"], ["output"])
    info = helper.make_tensor_value_info
    shape = info("input", TensorProto.FLOAT, [3]), info("output", TensorProto.FLOAT, [3])
    (tmp_path / "model.onnx").write_bytes(
        helper.make_model(helper.make_graph([node], "sum", [shape[0]], [shape[1]])).SerializeToString()
    )
    assert in_words(read(tmp_path / "model.onnx", "input")) == "Add: it does not rescale its pixels"


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x3a\x05ab"], ids=["nothing", "noise", "cut short"])
def test_an_unreadable_file_has_no_operators(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    assert read(tmp_path / "model.onnx", "input") == ()


def test_numbers_in_their_own_field_are_read(tmp_path: Path) -> None:
    tensor = onnx.TensorProto(name="factor", data_type=TensorProto.FLOAT, dims=[1], float_data=[0.5])
    info = helper.make_tensor_value_info
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Mul", ["input", "factor"], ["output"])],
            "scale",
            [info("input", TensorProto.FLOAT, [3])],
            [info("output", TensorProto.FLOAT, [3])],
            [tensor],
        )
    )
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    assert in_words(read(tmp_path / "model.onnx", "input")) == "Mul 0.5: it rescales its own pixels"
