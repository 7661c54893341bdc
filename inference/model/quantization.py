"""Resolves the scale and zero point of quantized inputs and outputs; imported only where a graph has such.

TFLite's converters keep them in the ``DequantizeLinear`` behind an input and the ``QuantizeLinear`` before an output,
ONNX Runtime's own quantizer in its QLinear operators. Where the graph has none, ``model.json`` states them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from inference.errors import ModelError
from inference.model import value_checks
from inference.model.graph import nodes as graph_nodes
from inference.model.graph.protobuf import NotProtobufError
from inference.model_spec import Quantization

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

# By operator: the places of scale and zero point among its inputs, for what it reads and for what it writes.
_OF_INPUT = {"DequantizeLinear": (1, 2), "QLinearConv": (1, 2), "QLinearMatMul": (1, 2)}
_OF_OUTPUT = {
    "QuantizeLinear": (1, 2), "QLinearConv": (6, 7), "QLinearMatMul": (6, 7), "QLinearAdd": (6, 7),
    "QLinearMul": (6, 7), "QGemm": (7, 8), "QLinearSoftmax": (3, 4), "QLinearSigmoid": (3, 4),
    "QLinearGlobalAveragePool": (3, 4),
}  # fmt: skip
_MOVES = {"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
_MOST_MOVES = 16
_RANGES = ((0, 1), (-1, 1), (0, 255))  # in which models take their pixels
_TOLERANCE = 0.01  # of a range: calibration measures its ends


def resolve(values: SourcedValues, folder: Path, graph: Path, *, section: str, name: str) -> Quantization | None:
    """Return what the integers of an input or output stand for, add it to ``values``, or ask for it.

    Args:
        values: The stated values.
        folder: For messages.
        graph: The ONNX file.
        section: ``input`` or ``output``.
        name: The graph's name of the tensor.

    Raises:
        ModelError: ``model.json`` and the graph contradict each other.
    """
    key = f"{section}.quantization"
    stated: Quantization | None = values.checked(key, value_checks.quantization)
    shown = _of_input(graph, name) if section == "input" else _of_output(graph, name)
    if stated and shown and not _agree(stated, shown):
        raise ModelError(
            f"{folder}: {values.source(key)} is {list(stated)}, but the graph gives {section} {name} the scale"
            f" {shown.scale:.6g} and the zero point {shown.zero_point}: remove it."
        )
    if stated is None and shown is not None:
        values.add(key, list(shown), f"graph: scale and zero point of {section} {name}")
    return stated or shown


def is_usual_range(quantization: Quantization, dtype: str) -> bool:
    """Whether the integers from the lowest to the highest stand for 0..1, -1..1 or 0..255: then they are the pixels."""
    limits = np.iinfo(dtype)
    low, high = (quantization.scale * (end - quantization.zero_point) for end in (limits.min, limits.max))
    return any(max(abs(low - start), abs(high - end)) <= _TOLERANCE * (end - start) for start, end in _RANGES)


def _agree(one: Quantization, other: Quantization) -> bool:
    return math.isclose(one.scale, other.scale, rel_tol=1e-3) and one.zero_point == other.zero_point


def _of_input(graph: Path, name: str) -> Quantization | None:
    content = _content(graph)
    for _ in range(_MOST_MOVES):
        node = next((node for node in content.nodes if name in node.inputs[:1]), None)
        if node is None or node.operator not in _MOVES:
            return _constants(content, node, _OF_INPUT)
        name = node.outputs[0]
    return None


def _of_output(graph: Path, name: str) -> Quantization | None:
    content = _content(graph)
    for _ in range(_MOST_MOVES):
        node = next((node for node in content.nodes if name in node.outputs), None)
        if node is None or node.operator not in _MOVES:
            return _constants(content, node, _OF_OUTPUT)
        name = node.inputs[0]
    return None


def _content(graph: Path) -> graph_nodes.Graph:
    try:
        return graph_nodes.read(graph)
    except (NotProtobufError, UnicodeDecodeError) as error:
        raise ModelError(f"{graph} is not an ONNX file, or it is cut short: export or copy it again.") from error


def _constants(
    content: graph_nodes.Graph, node: graph_nodes.Node | None, places: Mapping[str, tuple[int, int]]
) -> Quantization | None:
    """Return the scale and zero point that are constants of an operator; one per channel is none of a whole tensor."""
    if node is None or node.operator not in places:
        return None
    scale, zero_point = ((*node.inputs, *[""] * 9)[place] for place in places[node.operator])
    scales = np.unique(content.numbers(scale))
    zeros = np.unique(content.numbers(zero_point)) if zero_point else np.zeros(1)  # the operator's default
    if len(scales) != 1 or len(zeros) != 1 or not 0 < scales[0] < math.inf:
        return None
    return Quantization(float(scales[0]), int(zeros[0]))
