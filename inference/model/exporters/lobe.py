"""Lobe: ``signature.json`` beside the graph, which Lobe exported or tf2onnx converted.

The preprocessing is that of ``image_utils.py`` in github.com/lobe/lobe-python: RGB, resized to fill the input with
Pillow's default filter, cropped at the centre, 0 to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.model.exporters.json_file import read_json
from inference.model.exporters.unsupported import refuse_step

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

FILE = "signature.json"

_VERSIONS = (None, -1, 1)  # that lobe-python reads; the first exports had none


def read(folder: Path, values: SourcedValues) -> None:
    """Add labels, size and Lobe's fixed preprocessing.

    Raises:
        ModelError: The file is broken, or of a version that is unknown.
    """
    signature = read_json(folder / FILE)
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    if not isinstance(inputs, dict) or not isinstance(inputs.get("Image"), dict):  # another program's signature
        return
    graph = signature.get("filename")
    if isinstance(graph, str) and graph.lower().endswith(".onnx") and (folder / graph).is_file():
        values.add("graph", graph, f"{FILE}: filename")
    classes = signature.get("classes")
    if isinstance(classes, dict) and isinstance(classes.get("Label"), list):
        values.add("labels", classes.get("Label"), f"{FILE}: classes.Label")
    version = signature.get("export_model_version")
    if version not in _VERSIONS:
        refuse_step(folder, f"{FILE}: export_model_version {version!r:.20}", values)
        return
    source = f"{FILE}: inputs.Image (Lobe's convention)"
    _add_shape(inputs["Image"].get("shape"), source, values)
    values.add("input.color_order", "RGB", source)
    values.add("input.interpolation", "bicubic", source)
    values.add_normalization(1 / 255, 0, 1, source)
    values.add("output.logits_activation", "softmax", f"{FILE}: outputs (Lobe's labels are one per photo)")


def _add_shape(shape: Any, source: str, values: SourcedValues) -> None:
    if not isinstance(shape, list) or len(shape) != 4:
        return
    layout = "NCHW" if shape[1] in (1, 3) else "NHWC"
    size = shape[2:] if layout == "NCHW" else shape[1:3]
    values.add("input.layout", layout, source)
    if None not in size:
        values.add("input.size", size, f"{FILE}: inputs.Image.shape")
    if size[0] == size[1]:
        values.add_resize("shortest_side_crop", source, crop_pct=1, crop_rounding="floor", resize_rounding="nearest")
