"""Azure Custom Vision: ``cvexport.manifest``, ``metadata_properties.json``, ``labels.txt``.

Its ONNX exports hold the same image metadata inside the graph, which ``winml`` reads; the file beside it has more keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.errors import ModelError
from inference.model.exporters import winml
from inference.model.exporters.json_file import read_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

MANIFEST = "cvexport.manifest"
PROPERTIES = "metadata_properties.json"

_NO_NORMALIZATION = {
    None, "", "null", "[0.0, 0.0, 0.0]", "[1.0, 1.0, 1.0]", "[0,0,0]", "[1,1,1]", "[0, 0, 0]", "[1, 1, 1]",
}  # fmt: skip
_METHOD = "CustomVision.Postprocess.Method"
_LOGITS_ACTIVATION = {"ClassificationMultiClass": "softmax", "ClassificationMultiLabel": "sigmoid"}


def read_manifest(folder: Path, values: SourcedValues) -> None:
    """Add the names of the graph and of the label file.

    Raises:
        ModelError: The manifest is broken, or its project is an object detector.
    """
    manifest = read_object(folder / MANIFEST)
    if manifest is None:
        return
    domain = manifest.get("DomainType")
    if domain not in (None, "Classification"):
        raise ModelError(
            f"{folder / MANIFEST}: DomainType is {domain!r:.40}, not Classification: export a classification project."
        )
    graph = manifest.get("ModelFileName")
    if isinstance(graph, str) and graph.lower().endswith(".onnx"):  # another file was converted to ONNX later
        values.add("graph", graph, f"{MANIFEST}: ModelFileName")
    values.add("labels", manifest.get("LabelFileName"), f"{MANIFEST}: LabelFileName")


def read_metadata(folder: Path, values: SourcedValues) -> None:
    """Add what ``metadata_properties.json`` states about pixels; ask for the scale that belongs to a mean and std.

    Raises:
        ModelError: The file is broken.
    """
    properties = read_object(folder / PROPERTIES)
    if properties is None:
        return
    prefix = "CustomVision.Preprocess."
    for key in (f"{prefix}NormalizeMean", f"{prefix}NormalizeStd"):
        if properties.get(key) not in _NO_NORMALIZATION and values.get("input.mean") is None:
            values.ask_normalization(f"{PROPERTIES}: {key} is {properties[key]!r:.60}, but no file states the scale")
    if properties.get(f"{prefix}CropMethod") == "FullImageShorterSide":
        values.add_resize("shortest_side_crop", f"{PROPERTIES}: {prefix}CropMethod", crop_pct=1)
    read_postprocessing(PROPERTIES, properties, values)
    winml.read(PROPERTIES, properties, values)


def read_postprocessing(where: str, properties: Mapping[str, Any], values: SourcedValues) -> None:
    """Add whether the project gives a photo one tag or several, as ``metadata_properties.json`` or the graph states."""
    activation = _LOGITS_ACTIVATION.get(str(properties.get(_METHOD)))
    values.add("output.logits_activation", activation, f"{where}: {_METHOD}")


def read_convention(folder: Path, values: SourcedValues) -> None:
    """Add Custom Vision's convention for ONNX exports without metadata: BGR, 0 to 255, squashed."""
    manifest = read_object(folder / MANIFEST)
    if manifest is None or manifest.get("Platform") != "ONNX":
        return
    source = f"{MANIFEST}: Platform ONNX (Custom Vision's convention)"
    values.add("input.color_order", "BGR", source)
    values.add_resize("squash", source)
    values.add_normalization(1, 0, 1, source)
