"""Reads from an ONNX file, without loading it, the operators before each output and the weight files it needs.

ONNX Runtime reports names, types and shapes, but not whether an output comes out of a Softmax, and its errors for a
file that is not ONNX do not say what the file is. This reads the few protobuf fields that do and skips all others by
their length. A protobuf message is a sequence of ``(field number, value)`` pairs; the numbers are those of
``onnx.proto3``.
"""

from __future__ import annotations

import mmap
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from inference.errors import ModelError
from inference.model.file_errors import cannot_read
from inference.model.graph.protobuf import NotProtobufError, fields, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Operators that move, copy or retype numbers without changing what they mean: a Softmax before them is still a Softmax.
_QUANTIZED = (
    "QLinear", "DynamicQuantize", "QGemm", "QAttention", "QuantizeLinear", "DequantizeLinear",
    "MatMulInteger", "ConvInteger",
)  # fmt: skip
"""Prefixes of the operators with 8-bit integers: of ONNX, and of ONNX Runtime's own operator set."""
_PASSES_THROUGH = {
    "Cast", "CastLike", "Concat", "DequantizeLinear", "Dropout", "Flatten", "Gather", "Identity", "QuantizeLinear",
    "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze", "ZipMap",
}  # fmt: skip


_PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
}
"""By kind of message, the fields that hold nodes or tensors at any depth: weights are in initializers, in the
``Constant`` nodes of the graph, of the bodies of ``If``, ``Loop`` and ``Scan``, and of functions, and in any other
attribute. Training graphs are left out: inference never reads them."""


class OnnxFile(NamedTuple):
    """The parts of an ONNX file that ONNX Runtime does not report.

    Attributes:
        last_operator: By output name, the operator that gives its numbers their meaning (``Softmax``, ``Gemm``); empty
            when the output is an input passed through.
        external_files: Names of the weight files beside it, sorted: those of every tensor at any depth.
        is_quantized: Whether any operator, also in a body of ``If`` or ``Loop`` or in a function, is an 8-bit one.
    """

    last_operator: Mapping[str, str]
    external_files: tuple[str, ...]
    is_quantized: bool


def read(path: Path) -> OnnxFile:
    """Read the graph's nodes and the names of its weight files.

    Raises:
        ModelError: The file is missing or empty, or is not ONNX: a web page, a Git LFS pointer, JSON, a ZIP archive.
        TransientError: The machine cannot open it for now.
    """
    try:
        with path.open("rb") as file:
            _refuse_other_formats(path, file.read(512))
            # The map is not closed here: it cannot be while views of it exist, and it goes with the last one.
            return _read_model(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    except OSError as error:
        raise cannot_read(str(path), error) from error
    except (NotProtobufError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not an ONNX file, or it is cut short: export or copy it again.") from error


def _refuse_other_formats(path: Path, head: bytes) -> None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        raise ModelError(f"{path} is empty, so it is not an ONNX file: export or copy it again.")
    if start.startswith(b"version https://git-lfs"):
        raise ModelError(
            f"{path} is a Git LFS pointer, not the model: run `git lfs pull` in the repository it came from."
        )
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise ModelError(f"{path} is a web page, not an ONNX file: the download saved an error or a login page.")
    if start.startswith((b"{", b"[")):
        raise ModelError(f"{path} is JSON text, not an ONNX file: copy the model itself.")
    if head[4:8] in (b"ORTM", b"TFL3") or head.startswith(b"\x89HDF"):
        from inference.model.refusals.other_formats import other_format

        raise ModelError(other_format(path, head) or f"{path} is not an ONNX file.")
    if head.startswith(b"PK\x03\x04"):
        raise ModelError(f"{path} is a ZIP archive, not an ONNX file: unpack it, or export the model to ONNX.")


def _read_model(content: memoryview) -> OnnxFile:
    graphs = [graph for field, graph in fields(content) if field == 7 and isinstance(graph, memoryview)]
    if not graphs:
        raise NotProtobufError
    made_by: dict[str, tuple[str, str]] = {}
    outputs: list[str] = []
    for field, value in chain.from_iterable(map(fields, graphs)):  # protobuf merges a message that comes in parts
        if not isinstance(value, memoryview):
            continue
        if field == 1:  # GraphProto.node
            operator, first_input, results = _read_node(value)
            made_by.update(dict.fromkeys(results, (operator, first_input)))
        elif field == 12:  # GraphProto.output
            outputs += [text(name) for number, name in fields(value) if number == 1]

    external: set[str] = set()
    is_quantized = False
    for kind, message in _all_parts(content):
        if kind == "node":
            is_quantized = is_quantized or _is_quantized(message)
        elif kind == "tensor":
            external |= _external_location(message)
    return OnnxFile({name: _last_operator(name, made_by) for name in outputs}, tuple(sorted(external)), is_quantized)


def _all_parts(model: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Yield the kind and the bytes of every node and tensor that decides an answer, however deep it is."""
    waiting = [("model", model)]  # a list, not recursion: a hostile file may nest graphs without end
    while waiting:
        kind, message = waiting.pop()
        if kind in {"node", "tensor"}:
            yield kind, message
        if parts := _PARTS.get(kind):
            for field, value in fields(message):
                if field in parts:
                    if isinstance(value, int):
                        raise NotProtobufError
                    waiting.append((parts[field], value))


def _last_operator(name: str, made_by: Mapping[str, tuple[str, str]]) -> str:
    for _ in range(len(made_by) + 1):
        operator, source = made_by.get(name, ("", ""))
        if operator not in _PASSES_THROUGH:
            return operator
        name = source
    return ""


def _read_node(node: memoryview) -> tuple[str, str, list[str]]:
    """Return a NodeProto's operator, its first input and its outputs."""
    operator, inputs, outputs = "", [], []
    for field, value in fields(node):
        if field == 1:
            inputs.append(text(value))
        elif field == 2:
            outputs.append(text(value))
        elif field == 4:
            operator = text(value)
    return operator, inputs[0] if inputs else "", outputs


def _is_quantized(node: memoryview) -> bool:
    return any(field == 4 and text(value).startswith(_QUANTIZED) for field, value in fields(node))


def _external_location(tensor: memoryview) -> set[str]:
    """Return the external file of a TensorProto, if it has one."""
    found = set()
    for field, entry in fields(tensor):
        if field == 13 and isinstance(entry, memoryview):  # external_data: key and value
            pair = {number: text(value) for number, value in fields(entry)}
            if pair.get(1) == "location":
                found.add(pair.get(2, ""))
    return found
