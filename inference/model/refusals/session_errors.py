"""Turns ONNX Runtime's error texts into one sentence that says what to do; imported when a session has failed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_OPSETS = re.compile(r"Opset (\d+) is under development.*till opset (\d+)", re.DOTALL)
_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_PREAMBLE = re.compile(r"^(Load model from .+? failed:)?\s*(This is an invalid model\. )?")
_SOURCE_POSITION = re.compile(r"/onnxruntime_src/\S+:\d+ .*\)(?: const)? (?=[A-Z]\w* )")


def load_refusal(graph: Path, text: str) -> str:
    """Return the sentence for a graph that ONNX Runtime refused with this text."""
    reason = plain_words(text)
    lowered = text.lower()
    if any(
        words in lowered
        for words in ("not a registered function", "no op registered", "not_implemented", "for domain '")
    ):
        return f"{graph} uses an operator that ONNX Runtime lacks: {reason}; export it with standard ONNX operators."
    if versions := _OPSETS.search(text):
        reason = f"it has opset {versions[1]}, and this one reads up to {versions[2]}"
        return f"{graph} is newer than this ONNX Runtime: {reason}; export it with a lower opset."
    if "opset" in lowered or "ir version" in lowered or "ir_version" in lowered:
        return f"{graph} is newer than this ONNX Runtime: {reason}; export it with a lower opset."
    if "external data" in lowered or "external_data" in lowered or "external initializer" in lowered:
        return f"{graph} cannot read its weight file: {reason}; put that file beside it."
    return f"{graph} is refused by ONNX Runtime: {reason}; export it again."


def plain_words(text: str) -> str:
    """Remove error codes, source positions and C++ signatures; keep one line of at most 300 characters."""
    line = " ".join(text.split())
    for noise in (_CODE, _PREAMBLE, _SOURCE_POSITION):
        line = noise.sub("", line, count=1)
    return line[:300].rstrip(" .")
