"""Reads the operators that a graph begins with, up to its first layer: they show whether it rescales its own pixels.

Imported for a refusal or for ``model inspect`` only. The field numbers are those of ``onnx.proto3``.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from inference.model.protobuf import NotProtobufError, fields, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Operators that exporters put before the first layer.
_BEFORE_LAYERS = {
    "Add", "BatchNormalization", "Cast", "Clip", "Concat", "DequantizeLinear", "Div", "Gather", "Identity", "Mul",
    "Pad", "QuantizeLinear", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze",
}  # fmt: skip
_ARITHMETIC = {"Add", "Div", "Mul", "Sub"}
_MOST_OPERATORS = 16
_MOST_NUMBERS = 4  # one for each channel
# TensorProto.data_type: the numpy type, and the field that holds it where raw_data does not.
_TYPES = {1: ("<f4", 4), 10: ("<f2", 5), 11: ("<f8", 10)}


class Step(NamedTuple):
    """One operator.

    Attributes:
        operator: Its ONNX name.
        constants: The constant that Add, Div, Mul or Sub applies: one number, or one for each channel; else empty.
    """

    operator: str
    constants: tuple[float, ...]


class _Node(NamedTuple):
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[memoryview, ...]


def read(path: Path, input_name: str) -> tuple[Step, ...]:
    """Return the operators from the graph's input to its first layer, that layer included; empty if unreadable.

    Where several operators read a tensor, the first is followed.

    Args:
        path: The ONNX file.
        input_name: The graph's input.
    """
    try:
        with path.open("rb") as file:
            nodes, tensors = _nodes_and_tensors(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
            return tuple(_steps(nodes, tensors, input_name))
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


def _nodes_and_tensors(model: memoryview) -> tuple[list[_Node], Mapping[str, memoryview]]:
    nodes: list[_Node] = []
    tensors: dict[str, memoryview] = {}
    for graph in (value for number, value in fields(model) if number == 7 and isinstance(value, memoryview)):
        for number, value in fields(graph):
            if number == 1 and isinstance(value, memoryview):  # GraphProto.node
                nodes.append(_node(value))
            elif number == 5 and isinstance(value, memoryview):  # GraphProto.initializer; TensorProto.name is 8
                tensors.update((text(name), value) for field, name in fields(value) if field == 8)
    for node in nodes:
        if node.operator == "Constant":
            for attribute in node.attributes:  # AttributeProto.t is 5
                tensors.update(
                    (node.outputs[0], value)
                    for number, value in fields(attribute)
                    if number == 5 and isinstance(value, memoryview)
                )
    return nodes, tensors


def _node(message: memoryview) -> _Node:
    inputs, outputs, attributes, operator = [], [], [], ""
    for number, value in fields(message):
        if number == 1:
            inputs.append(text(value))
        elif number == 2:
            outputs.append(text(value))
        elif number == 4:
            operator = text(value)
        elif number == 5 and isinstance(value, memoryview):
            attributes.append(value)
    return _Node(operator, tuple(inputs), tuple(outputs), tuple(attributes))


def _steps(nodes: list[_Node], tensors: Mapping[str, memoryview], tensor: str) -> list[Step]:
    steps: list[Step] = []
    while len(steps) < _MOST_OPERATORS:
        node = next((node for node in nodes if tensor in node.inputs and node.operator != "Shape"), None)
        if node is None:
            break
        constants: tuple[float, ...] = ()
        if node.operator in _ARITHMETIC:
            constants = next((_constants(tensors[name]) for name in node.inputs if name in tensors), ())
        steps.append(Step(node.operator, constants))
        if node.operator not in _BEFORE_LAYERS or not node.outputs:
            break
        tensor = node.outputs[0]
    return steps


def _constants(tensor: memoryview) -> tuple[float, ...]:
    """Return the numbers of a small TensorProto of a floating type; equal ones as one number."""
    content = {number: value for number, value in fields(tensor) if number not in (1, 8)}
    dtype, field = _TYPES.get(int(content.get(2, 0)) if isinstance(content.get(2), int) else 0, ("", 0))
    packed = content.get(9, content.get(field))  # raw_data, or the field of the type
    if not dtype or not isinstance(packed, memoryview) or not len(packed):
        return ()
    if field == 5 and 9 not in content:  # float16 in int32_data: rare, and varints
        return ()
    values = np.unique(np.frombuffer(packed, dtype)) if len(packed) < 4096 else np.empty(0)
    if len(values) == 1:
        return (float(values[0]),)
    numbers = np.frombuffer(packed, dtype)
    return tuple(map(float, numbers)) if len(numbers) <= _MOST_NUMBERS else ()
