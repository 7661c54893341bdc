"""Reads the operators that a graph begins with, up to its first layer: they show whether it rescales its own pixels.

Imported for a refusal or for ``model inspect`` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from inference.model.graph import nodes as graph_nodes
from inference.model.graph.protobuf import NotProtobufError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from inference.model.graph.nodes import Graph

# Operators that exporters put before the first layer.
_BEFORE_LAYERS = {
    "Add", "BatchNormalization", "Cast", "Clip", "Concat", "DequantizeLinear", "Div", "Gather", "Identity", "Mul",
    "Pad", "QuantizeLinear", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze",
}  # fmt: skip
_ARITHMETIC = {"Add", "Div", "Mul", "Sub"}
_MOST_OPERATORS = 16
_MOST_NUMBERS = 4  # one for each channel


class Step(NamedTuple):
    """One operator.

    Attributes:
        operator: Its ONNX name.
        constants: The constant that Add, Div, Mul or Sub applies: one number, or one for each channel; else empty.
    """

    operator: str
    constants: tuple[float, ...]


def read(path: Path, input_name: str) -> tuple[Step, ...]:
    """Return the operators from the graph's input to its first layer, that layer included; empty if unreadable.

    Where several operators read a tensor, the first is followed.

    Args:
        path: The ONNX file.
        input_name: The graph's input.
    """
    try:
        return tuple(_steps(graph_nodes.read(path), input_name))
    except (OSError, NotProtobufError, ValueError):
        return ()


def in_words(steps: Sequence[Step]) -> str:
    """Return the operators and what they mean for the pixels, to complete "the graph begins with"."""
    if not steps:
        return "an operator that cannot be read"
    listed = ", ".join(f"{step.operator} {_numbers(step.constants)}".rstrip() for step in steps)
    if any(step.constants for step in steps) or steps[0].operator == "BatchNormalization":
        return f"{listed}: it rescales its own pixels"
    return f"{listed}: it does not rescale its pixels"


def _numbers(constants: tuple[float, ...]) -> str:
    numbers = [f"{constant:.6g}" for constant in constants]
    return f"[{' '.join(numbers)}]" if len(numbers) > 1 else "".join(numbers)


def _steps(graph: Graph, tensor: str) -> list[Step]:
    steps: list[Step] = []
    while len(steps) < _MOST_OPERATORS:
        node = next((node for node in graph.nodes if tensor in node.inputs and node.operator != "Shape"), None)
        if node is None:
            break
        constants: tuple[float, ...] = ()
        if node.operator in _ARITHMETIC:
            constants = next((_constants(graph.numbers(name)) for name in node.inputs if name in graph.constants), ())
        steps.append(Step(node.operator, constants))
        if node.operator not in _BEFORE_LAYERS or not node.outputs:
            break
        tensor = node.outputs[0]
    return steps


def _constants(numbers: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the numbers of a constant: equal ones as one number, and none of one that is not per channel."""
    if len(numbers) and np.all(numbers == numbers[0]):
        return (float(numbers[0]),)
    return tuple(map(float, numbers)) if len(numbers) <= _MOST_NUMBERS else ()
