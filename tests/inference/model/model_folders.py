"""Builds small ONNX graphs with the folders that exporters write around them. Their answers are easy to calculate.

By default the logits are the means of the input's channels: an all-red picture is class 0 in an RGB tensor and class 2
in a BGR tensor.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FLOAT, FLOAT16, UINT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def graph(
    *,
    shape: Sequence[int | str | None] = ("N", 3, 8, 8),
    layout: str = "NCHW",
    dtype: int = FLOAT,
    classes: int = 3,
    operators: Sequence[str] = (),
    output: str = "logits",
    output_shape: Sequence[int | str | None] | None = None,
    input_name: str = "input",
    metadata: Mapping[str, str] | None = None,
    opset: int = 13,
) -> onnx.ModelProto:
    """Return a graph whose logits are its channel means, times a fixed matrix for more classes than channels.

    Args:
        shape: Of the input; three axes are without a batch axis.
        layout: ``NCHW`` or ``NHWC``.
        dtype: Of input and output.
        classes: Number of scores.
        operators: Operators after the logits, such as ``Softmax`` or ``Sigmoid``.
        output: The output's name.
        output_shape: ``[N, C]`` by default; the logits are reshaped to ``[N, C, 1, 1]`` or ``[C]``.
        input_name: The input's name.
        metadata: The graph's ``metadata_props``.
        opset: Version of the default operator set.
    """
    last = len(shape) - 1
    axes = [last - 1, last] if layout == "NCHW" else [last - 2, last - 1]
    channels = 1 if 1 in (shape[-3], shape[-1]) else 3
    weights = np.eye(channels, classes, dtype=np.float32)
    nodes = [
        helper.make_node("Cast", [input_name], ["pixels"], to=FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["means"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["step0"]),
    ]
    for number, operator in enumerate(operators):
        nodes.append(helper.make_node(operator, [f"step{number}"], [f"step{number + 1}"]))
    made = f"step{len(operators)}"
    constants = [numpy_helper.from_array(weights, "weights")]
    if output_shape is not None:
        target = np.array([-1 if isinstance(axis, str) else axis for axis in output_shape], np.int64)
        constants.append(numpy_helper.from_array(target, "target"))
        nodes.append(helper.make_node("Reshape", [made, "target"], ["reshaped"]))
        made = "reshaped"
    nodes.append(helper.make_node("Cast", [made], [output], to=FLOAT if dtype == UINT8 else dtype))
    out_shape = output_shape or (shape[0], classes)
    out_type = FLOAT if dtype == UINT8 else dtype
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "channel_means",
            [helper.make_tensor_value_info(input_name, dtype, list(shape))],
            [helper.make_tensor_value_info(output, out_type, list(out_shape))],
            constants,
        ),
        opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=8,
    )
    if metadata:
        helper.set_model_props(model, dict(metadata))
    return model


def zip_map_graph(keys: Sequence[str] | Sequence[int], *, label_first: bool = True) -> onnx.ModelProto:
    """Return a graph as Custom Vision exports it: outputs ``classLabel`` and ``loss``, a sequence of maps."""
    classes = len(keys)
    base = graph(shape=("N", 3, 8, 8), classes=classes, operators=("Softmax",), output="scores", input_name="data")
    text = isinstance(keys[0], str)
    attribute = {"classlabels_strings": list(keys)} if text else {"classlabels_int64s": list(keys)}
    value = helper.make_tensor_value_info
    if text:
        names = helper.make_tensor("names", TensorProto.STRING, [classes], [str(key).encode() for key in keys])
    else:
        names = helper.make_tensor("names", TensorProto.INT64, [classes], list(keys))
    base.graph.initializer.append(names)
    base.graph.node.extend(
        [
            helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0),
            helper.make_node("Gather", ["names", "best"], ["classLabel"]),
            helper.make_node("ZipMap", ["scores"], ["loss"], domain="ai.onnx.ml", **attribute),
        ]
    )
    kind = TensorProto.STRING if text else TensorProto.INT64
    label = value("classLabel", kind, ["N"])
    key_type = TensorProto.STRING if text else TensorProto.INT64
    maps = helper.make_value_info(
        "loss",
        helper.make_sequence_type_proto(helper.make_map_type_proto(key_type, helper.make_tensor_type_proto(FLOAT, []))),
    )
    del base.graph.output[:]
    base.graph.output.extend([label, maps] if label_first else [maps, label])
    return base


def integers_without_a_scale(kind: int, out: int) -> onnx.ModelProto:
    """Return a graph of integers, by type of input and output, that stand for numbers that no operator states.

    The scores are the channel means of the input's integers.
    """
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=FLOAT),
        helper.make_node("ReduceMean", ["real"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("Cast", ["means"], ["scores"], to=out),
    ]
    value = helper.make_tensor_value_info
    made = helper.make_graph(nodes, "g", [value("image", kind, ["N", 8, 8, 3])], [value("scores", out, ["N", 3])])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def folder(path: Path, model: onnx.ModelProto | bytes, name: str = "model.onnx", **files: Any) -> Path:
    """Write a graph and files: ``labels_txt="..."`` becomes ``labels.txt``; other values than text become JSON."""
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    for key, content in files.items():
        stem, _, suffix = key.rpartition("_")
        text = content if isinstance(content, str) else json.dumps(content)
        (path / f"{stem}.{suffix}").write_text(text, encoding="utf-8")
    return path


PIXELS_JSON: dict[str, Any] = {"input": {"color_order": "RGB", "scale": 1 / 255, "resize": "squash"}}
"""A ``model.json`` with the values that a graph of fixed shape needs, where its end shows the activation."""

MODEL_JSON: dict[str, Any] = PIXELS_JSON | {"output": {"activation": "softmax"}}
"""The same for a graph that ends in logits."""


def png(color: tuple[int, int, int] = RED, size: tuple[int, int] = (8, 8)) -> bytes:
    """Return an image of one colour as PNG."""
    return encoded(Image.new("RGB", size, color))


def encoded(image: Image.Image) -> bytes:
    """Return the image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def noise(width: int, height: int, seed: int = 7) -> Image.Image:
    """Return an image of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)
