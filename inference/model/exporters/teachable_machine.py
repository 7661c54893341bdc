"""Teachable Machine: the ``metadata.json`` of its TensorFlow.js export, kept beside the graph that tf2onnx made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.model.exporters.json_file import read_object

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import Facts

FILE = "metadata.json"


def read(folder: Path, facts: Facts) -> None:
    """State labels, size and Teachable Machine's own preprocessing: centre square, RGB, -1..1.

    Raises:
        ModelError: The file is broken.
    """
    metadata = read_object(folder / FILE, facts)
    if metadata is None or metadata.get("packageName") != "@teachablemachine/image":
        return
    facts.state("labels", metadata.get("labels"), f"{FILE}: labels")
    facts.state("input.size", metadata.get("imageSize"), f"{FILE}: imageSize")
    source = f"{FILE}: packageName (Teachable Machine's way)"
    facts.state("input.color_order", "RGB", source)
    facts.state_geometry("shortest_side_crop", source, crop_pct=1)
    facts.state_normalisation(1 / 127.5, 1, 1, source)
