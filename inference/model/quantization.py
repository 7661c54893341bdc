"""Resolves the scale and zero point of quantized inputs and outputs; imported only where a graph has such.

TFLite's converters keep them in the ``DequantizeLinear`` behind an input and the ``QuantizeLinear`` before an output,
ONNX Runtime's own quantizer in its QLinear operators, ``tf2onnx --dequantize`` in a ``Sub`` and a ``Mul``. Where the
graph has none, ``model.json`` states them.
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

    from numpy.typing import NDArray

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


def resolve_integer_input(
    folder: Path, values: SourcedValues, graph: Path, name: str, dtype: str
) -> Quantization | None:
    """Return what the integers of a uint8 or int8 input stand for, or ask; add the normalization where it is known.

    A uint8 input whose integers stand for a usual range takes the pixels themselves, an int8 input those minus 128.

    Raises:
        ModelError: ``model.json`` and the graph contradict each other.
    """
    # Without a stated formula, Sub and Mul behind a uint8 input are the graph's own normalization of pixels.
    arithmetic = dtype == "int8" or "input.scale" in values
    found = of_input(values, folder, graph, name, arithmetic=arithmetic)
    if found is None:
        if dtype == "uint8":
            values.add_normalization(1, 0, 1, f"graph: input {name} is uint8")
        else:
            values.ask(
                "input.quantization",
                f"[scale, zero point] of input {name}, which is int8, as TFLite's input details list them",
            )
    elif _is_usual_range(found, dtype):
        if dtype == "uint8":
            values.add_normalization(1, 0, 1, f"graph: input {name} is uint8 and takes pixels 0 to 255")
        else:
            mean = (found.zero_point + 128) * found.scale
            values.add_normalization(found.scale, mean, 1, f"graph: input {name} is int8 and takes pixels minus 128")
    elif "input.scale" not in values:
        values.ask(
            "input.scale",
            f"the scale of the float model (1/255 for 0..1): the integers of input {name} stand for"
            f" {_real_range(found, dtype)}",
        )
    return found


def refuse_pixels_out_of_range(
    folder: Path,
    values: SourcedValues,
    name: str,
    dtype: str,
    formula: tuple[float, tuple[float, ...], tuple[float, ...], Quantization | None],
) -> None:
    """Refuse a normalization whose result does not fit an integer input, or fills a small part of it.

    Calibration measures the range of an input, and may cut off its ends: a quantized input may miss 32 values on each.

    Args:
        folder: For messages.
        values: The stated values.
        name: The input.
        dtype: ``uint8`` or ``int8``.
        formula: Scale, means, stds and quantization.

    Raises:
        ModelError: Black or white is outside the range, or they are less than 64 apart.
    """
    scale, means, stds, quantization = formula
    limits = np.iinfo(dtype)
    step, zero_point = quantization or (1.0, 0)
    slack = 0.5 if quantization is None else 32
    taken = (
        f"whole numbers from {limits.min} to {limits.max}" if quantization is None else _real_range(quantization, dtype)
    )
    for black, white in (((0.0 - m) / s, (255 * scale - m) / s) for m, s in zip(means, stds, strict=True)):
        ends = black / step + zero_point, white / step + zero_point
        if min(ends) < limits.min - slack or max(ends) > limits.max + slack or abs(ends[1] - ends[0]) < 64:
            raise ModelError(
                f"{folder}: {values.source('input.scale')} with its mean and std turns pixels into {black:.4g} to"
                f" {white:.4g}, but input {name} is {dtype} and takes {taken}:"
                f" remove scale, mean and std, or export the model with a float32 input."
            )


def _ends(quantization: Quantization, dtype: str) -> tuple[float, float]:
    """Return the real numbers that the lowest and the highest integer stand for."""
    limits = np.iinfo(dtype)
    low, high = (quantization.scale * (end - quantization.zero_point) for end in (limits.min, limits.max))
    return low, high


def _real_range(quantization: Quantization, dtype: str) -> str:
    low, high = _ends(quantization, dtype)
    return f"{low:.4g} to {high:.4g} (scale {quantization.scale:.4g}, zero point {quantization.zero_point})"


def of_input(values: SourcedValues, folder: Path, graph: Path, name: str, *, arithmetic: bool) -> Quantization | None:
    """Return what the integers of the input stand for and add it to ``values``; ``None`` if no source states it.

    Args:
        values: The stated values.
        folder: For messages.
        graph: The ONNX file.
        name: The input.
        arithmetic: Whether a ``Sub`` and a ``Mul`` behind it count too. They may as well be the graph's own
            normalization of pixels.

    Raises:
        ModelError: ``model.json`` and the graph contradict each other.
    """
    return _agreed(values, folder, "input", name, _of_input(_content(graph), name, arithmetic=arithmetic))


def of_output(values: SourcedValues, folder: Path, graph: Path, name: str) -> Quantization | None:
    """Return the same for an output."""
    return _agreed(values, folder, "output", name, _of_output(_content(graph), name))


def _agreed(
    values: SourcedValues, folder: Path, section: str, name: str, shown: Quantization | None
) -> Quantization | None:
    """Return the stated quantization, or the one that the graph shows."""
    key = f"{section}.quantization"
    stated: Quantization | None = values.checked(key, value_checks.quantization)
    if stated and shown and not _agree(stated, shown):
        raise ModelError(
            f"{folder}: {values.source(key)} is {list(stated)}, but the graph gives {section} {name} the scale"
            f" {shown.scale:.6g} and the zero point {shown.zero_point}: remove it."
        )
    if stated is None and shown is not None:
        values.add(key, list(shown), f"graph: scale and zero point of {section} {name}")
    return stated or shown


def _is_usual_range(quantization: Quantization, dtype: str) -> bool:
    """Whether the integers from the lowest to the highest stand for 0..1, -1..1 or 0..255: then they are the pixels."""
    low, high = _ends(quantization, dtype)
    return any(max(abs(low - start), abs(high - end)) <= _TOLERANCE * (end - start) for start, end in _RANGES)


def _agree(one: Quantization, other: Quantization) -> bool:
    return math.isclose(one.scale, other.scale, rel_tol=1e-3) and one.zero_point == other.zero_point


def _of_input(content: graph_nodes.Graph, name: str, *, arithmetic: bool) -> Quantization | None:
    for _ in range(_MOST_MOVES):
        node = _reader(content, name)
        if node is not None and node.operator == "Sub" and arithmetic:
            return _subtract_and_multiply(content, node)
        if node is None or node.operator not in _MOVES:
            return _constants(content, node, _OF_INPUT)
        name = node.outputs[0]
    return None


def _reader(content: graph_nodes.Graph, name: str) -> graph_nodes.Node | None:
    """Return the first operator that reads a tensor as its first input."""
    return next((node for node in content.nodes if name in node.inputs[:1]), None)


def _subtract_and_multiply(content: graph_nodes.Graph, sub: graph_nodes.Node) -> Quantization | None:
    mul = _reader(content, sub.outputs[0])
    if mul is None or mul.operator != "Mul":
        return None
    found = _quantization(content.numbers(mul.inputs[1]), content.numbers(sub.inputs[1]))
    return found if found and found.zero_point == content.numbers(sub.inputs[1])[0] else None


def _of_output(content: graph_nodes.Graph, name: str) -> Quantization | None:
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
    return _quantization(
        content.numbers(scale),
        content.numbers(zero_point) if zero_point else np.zeros(1),  # the operator's default
    )


def _quantization(scales: NDArray[np.float64], zeros: NDArray[np.float64]) -> Quantization | None:
    """Return the one scale and zero point of a whole tensor."""
    scales, zeros = np.unique(scales), np.unique(zeros)
    if len(scales) != 1 or len(zeros) != 1 or not 0 < scales[0] < math.inf:
        return None
    return Quantization(float(scales[0]), int(zeros[0]))
