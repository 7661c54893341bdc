"""Reads the nodes of a graph and its small constants; imported only where an operator's numbers are asked for.

The field numbers are those of ``onnx.proto3``. Bodies of ``If`` and ``Loop`` are left out.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from inference.model.graph.protobuf import fields, text, varints

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# TensorProto.data_type: the type of raw_data, and the field that holds the values where raw_data is absent.
_TYPES = {1: ("<f4", 4), 2: ("u1", 5), 3: ("i1", 5), 6: ("<i4", 5), 10: ("<f2", 5), 11: ("<f8", 10)}
_RAW_DATA, _INT32_DATA = 9, 5
_LARGEST_BYTES = 4096  # of a constant; larger ones are weights


class Node(NamedTuple):
    """An operator of the graph with the names of its tensors; an input that is left out has an empty name."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Graph(NamedTuple):
    """The operators of a graph, and its constants as protobuf messages by name.

    ``Constant`` nodes are among the constants and not among the nodes.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, memoryview]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return the values of a small constant of a type that scales and zero points have, flat; else an empty array.

        Raises:
            NotProtobufError: The file is broken.
        """
        return _numbers(self.constants[name]) if name in self.constants else np.empty(0)


def read(path: Path) -> Graph:
    """Read an ONNX file.

    Raises:
        OSError: The file cannot be read.
        NotProtobufError: It is broken.
        UnicodeDecodeError: A name is not UTF-8.
    """
    with path.open("rb") as file:
        model = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    nodes: list[Node] = []
    constants: dict[str, memoryview] = {}
    for graph in (value for number, value in fields(model) if number == 7 and isinstance(value, memoryview)):
        for number, value in fields(graph):
            if number == 1 and isinstance(value, memoryview):  # GraphProto.node
                node, tensors = _node(value)
                if node.operator == "Constant" and tensors and node.outputs:
                    constants[node.outputs[0]] = tensors[0]
                else:
                    nodes.append(node)
            elif number == 5 and isinstance(value, memoryview):  # GraphProto.initializer; TensorProto.name is 8
                constants.update((text(name), value) for field, name in fields(value) if field == 8)
    return Graph(tuple(nodes), constants)


def _node(message: memoryview) -> tuple[Node, list[memoryview]]:
    """Return a NodeProto with the tensors of its attributes."""
    inputs, outputs, operator, tensors = [], [], "", []
    for number, value in fields(message):
        if number == 1:
            inputs.append(text(value))
        elif number == 2:
            outputs.append(text(value))
        elif number == 4:
            operator = text(value)
        elif number == 5 and isinstance(value, memoryview):  # AttributeProto.t is 5
            tensors += [tensor for field, tensor in fields(value) if field == 5 and isinstance(tensor, memoryview)]
    return Node(operator, tuple(inputs), tuple(outputs)), tensors


def _numbers(tensor: memoryview) -> NDArray[np.float64]:
    content: dict[int, list[int | memoryview]] = {}
    for number, value in fields(tensor):
        content.setdefault(number, []).append(value)
    kind = next((value for value in content.get(2, []) if isinstance(value, int)), 0)
    dtype, field = _TYPES.get(kind, ("", 0))
    parts = content.get(_RAW_DATA) or content.get(field, [])
    if not dtype or sum(len(part) for part in parts if isinstance(part, memoryview)) > _LARGEST_BYTES:
        return np.empty(0)
    if _RAW_DATA not in content and field == _INT32_DATA:
        integers = [each for part in parts for each in ([part] if isinstance(part, int) else varints(part))]
        unsigned = np.array([each & 0xFFFFFFFF for each in integers], np.uint32)
        # float16 is kept as its 16 bits, an integer as itself
        return (unsigned.astype(np.uint16).view("<f2") if dtype == "<f2" else unsigned.astype(dtype)).astype(np.float64)
    packed = b"".join(bytes(part) for part in parts if isinstance(part, memoryview))
    return np.frombuffer(packed[: len(packed) // np.dtype(dtype).itemsize * np.dtype(dtype).itemsize], dtype).astype(
        np.float64
    )
