"""The refusal of a graph that has another number of inputs than one, the photo. Imported for a refusal only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inference.model.session import ValueInfo

_LARGEST_CONSTANT = 4096  # numbers: one per channel, at most
_TEXT_NAMES = ("input_ids", "attention_mask", "token", "text")


def not_one_input(folder: Path, inputs: Sequence[ValueInfo]) -> str:
    """Return the sentence: its inputs, and what to do about those that are not the photo."""
    listed = ", ".join(f"{value.name} {list(value.shape)}" for value in inputs)
    if not inputs:
        return f"{folder}: the graph has no input, but a classifier has one, the photo: export the model again."
    photos = [value for value in inputs if _may_be_a_photo(value)]
    others = [value.name for value in inputs if value not in photos[:1]]
    start = f"{folder}: the graph has {len(inputs)} inputs ({listed}), but a classifier has one, the photo:"
    if any(word in name.lower() for name in others for word in _TEXT_NAMES):
        return f"{start} it reads text too; export the part of the model that classifies the photo alone."
    if len(photos) == 1 and all(_is_constant(value) for value in inputs if value not in photos):
        are = "is a constant or a switch" if len(others) == 1 else "are constants or switches"
        return (
            f"{start} {', '.join(others)} {are} that the exporter left open, as tf2onnx does for Keras's EfficientNet;"
            f' save the model with model.export("exported"), and convert that: python -m tf2onnx.convert --saved-model'
            f" exported --output model.onnx (from PyTorch: give the switch a fixed value before the export)."
        )
    return f"{start} export the model so that it needs nothing but one photo."


def _may_be_a_photo(value: ValueInfo) -> bool:
    """Whether an input has the axes of a photo, and is not a few numbers with such axes, such as [1, 1, 1, 3]."""
    sides = [axis for axis in value.shape[1:] if isinstance(axis, int)]
    return len(value.shape) in (3, 4) and not (len(sides) == len(value.shape) - 1 and math.prod(sides) <= 4)


def _is_constant(value: ValueInfo) -> bool:
    return math.prod(axis if isinstance(axis, int) else 1 for axis in value.shape) <= _LARGEST_CONSTANT and (
        len(value.shape) <= 1 or not _may_be_a_photo(value)
    )
