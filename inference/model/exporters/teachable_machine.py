"""Teachable Machine: the ``metadata.json`` of its TensorFlow.js export, beside the graph that tf2onnx wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.model.exporters.json_file import read_object

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

FILE = "metadata.json"


def read(folder: Path, values: SourcedValues) -> None:
    """Add labels, size and Teachable Machine's fixed preprocessing: centre square, RGB, -1 to 1.

    Raises:
        ModelError: The file is broken.
    """
    metadata = read_object(folder / FILE)
    if metadata is None or metadata.get("packageName") != "@teachablemachine/image":
        return
    values.add("labels", metadata.get("labels"), f"{FILE}: labels")
    values.add("input.size", metadata.get("imageSize"), f"{FILE}: imageSize")
    source = f"{FILE}: packageName (Teachable Machine's convention)"
    values.add("input.color_order", "RGB", source)
    values.add("output.logits_activation", "softmax", source)
    values.add_resize("shortest_side_crop", source, crop_pct=1)
    values.add_normalization(1 / 127.5, 1, 1, source)
