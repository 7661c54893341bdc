"""The version covers every weight at any place in the graph: two models that differ anywhere have two versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference import classifier
from inference.model import onnx_file
from tests.inference.model.loading import LINES, refusal
from tests.inference.model.model_folders import FLOAT, MODEL_JSON, RED, folder, png
from tools.model.folders import weight_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_WEIGHTS = "weights.bin"
_SOFTMAX = MODEL_JSON | {"output": {"activation": "softmax"}}


def _outside(dims: list[int]) -> TensorProto:
    """Return a tensor "w" whose numbers are in the weight file."""
    tensor = TensorProto(name="w", data_type=FLOAT, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", _WEIGHTS), ("offset", "0"), ("length", str(int(np.prod(dims)) * 4))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def _value(name: str, kind: int, dims: list[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, dims)


def _model(*nodes: onnx.NodeProto, functions: list[Any] | None = None, **parts: Any) -> onnx.ModelProto:
    """Return a model that computes "logits" from the channel means, "means", with these nodes and parts."""
    pixels = helper.make_node("ReduceMean", ["input"], ["means"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph(
        [pixels, *nodes],
        "graph",
        [_value("input", FLOAT, ["N", 3, 8, 8])],
        [_value("logits", FLOAT, ["N", 3])],
        **parts,
    )
    operators = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, opset_imports=operators, ir_version=8, functions=functions or [])


def _constant(result: str = "w") -> onnx.NodeProto:
    return helper.make_node("Constant", [], [result], value=_outside([3, 3]))


def _product(source: str = "means", result: str = "logits") -> onnx.NodeProto:
    return helper.make_node("MatMul", [source, "w"], [result])


def _initializer() -> onnx.ModelProto:
    return _model(_product(), initializer=[_outside([3, 3])])


def _in_a_constant() -> onnx.ModelProto:
    return _model(_constant(), _product())


def _in_an_attribute() -> onnx.ModelProto:
    shape = numpy_helper.from_array(np.array([3, 3], np.int64), "shape")
    return _model(
        helper.make_node("ConstantOfShape", ["shape"], ["filled"], value=_outside([1])),
        helper.make_node("EyeLike", ["filled"], ["eye"]),
        helper.make_node("Mul", ["filled", "eye"], ["w"]),
        _product(),
        initializer=[shape],
    )


def _in_a_sparse_initializer() -> onnx.ModelProto:
    diagonal = numpy_helper.from_array(np.array([0, 4, 8], np.int64))
    sparse = onnx.SparseTensorProto(values=_outside([3]), indices=diagonal, dims=[3, 3])
    return _model(_product(), sparse_initializer=[sparse])


def _in_an_if(*nodes: onnx.NodeProto, **parts: Any) -> onnx.ModelProto:
    body = helper.make_graph([*nodes, _product(result="r")], "body", [], [_value("r", FLOAT, ["N", 3])], **parts)
    yes = numpy_helper.from_array(np.array(1, np.bool_), "yes")
    return _model(helper.make_node("If", ["yes"], ["logits"], then_branch=body, else_branch=body), initializer=[yes])


def _in_a_loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [_constant(), helper.make_node("Identity", ["go"], ["again"]), _product("v", "r")],
        "body",
        [_value("i", TensorProto.INT64, []), _value("go", TensorProto.BOOL, []), _value("v", FLOAT, ["N", 3])],
        [_value("again", TensorProto.BOOL, []), _value("r", FLOAT, ["N", 3])],
    )
    once = numpy_helper.from_array(np.array(1, np.int64), "once")
    return _model(helper.make_node("Loop", ["once", "", "means"], ["logits"], body=body), initializer=[once])


def _in_a_scan() -> onnx.ModelProto:
    body = helper.make_graph(
        [_constant(), helper.make_node("Unsqueeze", ["v", "zero"], ["row"]), _product("row", "p"),
         helper.make_node("Squeeze", ["p", "zero"], ["r"])],
        "body",
        [_value("v", FLOAT, [3])],
        [_value("r", FLOAT, [3])],
        [numpy_helper.from_array(np.array([0], np.int64), "zero")],
    )  # fmt: skip
    return _model(helper.make_node("Scan", ["means"], ["logits"], body=body, num_scan_inputs=1))


def _in_a_function() -> onnx.ModelProto:
    function = helper.make_function(
        "local", "Product", ["a"], ["b"], [_constant(), _product("a", "b")], [helper.make_opsetid("", 17)]
    )
    return _model(helper.make_node("Product", ["means"], ["logits"], domain="local"), functions=[function])


@pytest.mark.parametrize(
    "build",
    [
        _initializer,
        _in_a_constant,
        _in_an_attribute,
        _in_a_sparse_initializer,
        pytest.param(lambda: _in_an_if(initializer=[_outside([3, 3])]), id="in an If's initializer"),
        pytest.param(lambda: _in_an_if(_constant()), id="in an If's constant"),
        _in_a_loop,
        _in_a_scan,
        _in_a_function,
    ],
)
def test_weights_in_a_file_of_their_own_belong_to_the_version(
    tmp_path: Path, build: Callable[[], onnx.ModelProto]
) -> None:
    path = folder(tmp_path, build(), labels_txt=LINES, model_json=_SOFTMAX)
    seen = set()
    for first in (9.0, 5.0):
        weights = np.eye(3, dtype=np.float32)
        weights[0, 0] = first
        (path / _WEIGHTS).write_bytes(weights.tobytes())
        model = classifier.load(path)
        answer = model.classify(png(RED))
        seen.add((model.model.version, answer.score))
        assert path / _WEIGHTS in weight_files(model.spec), "publish and add must take the file with them"
    assert len({version for version, _ in seen}) == 2
    assert len({score for _, score in seen}) == 2, "the graph must really use these weights"
    (path / _WEIGHTS).unlink()
    assert _WEIGHTS in refusal(path)


@pytest.mark.parametrize("changed", ["number", "text", "tensor"])
def test_attributes_belong_to_the_version(tmp_path: Path, changed: str) -> None:
    """Also those that the graph carries inside: a Constant's numbers, and text that an operator interprets."""
    versions = set()
    for first in (True, False):
        other = changed if first else ""
        matrix = np.eye(3, dtype=np.float32) * (9 if other == "tensor" else 5)
        model = _model(
            helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(matrix)),
            helper.make_node("Einsum", ["means", "w"], ["p"], equation="ij,jk->ik" if other == "text" else "ab,bc->ac"),
            helper.make_node("LeakyRelu", ["p"], ["logits"], alpha=0.5 if other == "number" else 0.25),
        )
        versions.add(classifier.load(folder(tmp_path, model, labels_txt=LINES, model_json=_SOFTMAX)).model.version)
    assert len(versions) == 2


def test_a_graph_in_two_pieces_hides_no_weight_file(tmp_path: Path) -> None:
    """Protobuf merges a message that stands twice, so a file may keep an initializer in the other half."""
    whole = _initializer()
    half = onnx.ModelProto()
    half.graph.initializer.extend(whole.graph.initializer)
    del whole.graph.initializer[:]
    path = folder(tmp_path, half.SerializeToString() + whole.SerializeToString(), labels_txt=LINES)
    read = onnx_file.read(path / "model.onnx")
    assert read.external_files == (_WEIGHTS,)
    assert read.last_operator == {"logits": "MatMul"}


def test_graphs_that_are_nested_without_end_are_refused(tmp_path: Path) -> None:
    def field(number: int, content: bytes) -> bytes:
        length, size = len(content), bytearray()
        while length > 0x7F:
            size.append(length & 0x7F | 0x80)
            length >>= 7
        return bytes([number << 3 | 2, *size, length]) + content

    content = b""
    for _ in range(3000):  # a graph, of one node, of one attribute, of one graph ...
        content = field(1, field(5, field(6, content)))
    refusal(folder(tmp_path, field(7, content), labels_txt=LINES, model_json=_SOFTMAX))
