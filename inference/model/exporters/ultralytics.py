"""Ultralytics YOLO: ``task``, ``names`` and ``imgsz`` in the graph's metadata; its classifiers share one transform.

The transform is that of ``ultralytics.data.augment.classify_transforms`` from 8.1 on: resize the shortest side to
``imgsz`` (a size that is not square is squashed), crop the centre, divide by 255. Before 8.1 it was another one, which
changed between versions.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from inference.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

_FIRST_VERSION = (8, 1)  # with today's transform


def is_export(metadata: Mapping[str, str]) -> bool:
    """Whether Ultralytics wrote this metadata: ``task`` with one of its other keys, or with its name."""
    return "task" in metadata and (
        metadata.get("author") == "Ultralytics" or not {"names", "imgsz", "stride"}.isdisjoint(metadata)
    )


def refuse_other_tasks(graph: Path, metadata: Mapping[str, str]) -> None:
    """Refuse a model that does not classify whole images.

    Raises:
        ModelError: ``task`` is another one than ``classify``.
    """
    task = metadata["task"]
    if task != "classify":
        raise ModelError(
            f"{graph}: task is {task!r:.40} in its metadata (Ultralytics), and only classify gives a photo a label:"
            f" export a classification model, such as yolo11n-cls.pt."
        )


def read(folder: Path, graph_name: str, metadata: Mapping[str, str], values: SourcedValues) -> None:
    """Add labels, size and the transform of a classification export.

    Raises:
        ModelError: ``names`` or ``imgsz`` is no Python literal.
    """
    values.add("labels", _literal(folder, graph_name, metadata, "names"), f"{graph_name}: names")
    size = _literal(folder, graph_name, metadata, "imgsz")
    values.add("input.size", size, f"{graph_name}: imgsz")
    source = f"{graph_name}: task classify (Ultralytics's transform)"
    values.add("output.logits_activation", "softmax", source)
    values.add("input.layout", "NCHW", source)
    values.add("input.color_order", "RGB", source)
    if not _is_known_version(metadata.get("version", "")):
        return
    height, width = size if isinstance(size, list) and len(size) == 2 else (size, size)
    if height == width:
        crop_pct = 1 if height is None else None  # without imgsz, the graph's own size
        values.add_resize(
            "shortest_side_crop", source, shortest_side=height, crop_pct=crop_pct, crop_rounding="half_even"
        )
    else:
        values.add_resize("squash", source)
    values.add("input.interpolation", "bilinear", source)
    values.add_normalization(1 / 255, 0, 1, source)


def _is_known_version(version: str) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is None or (int(numbers[1]), int(numbers[2])) >= _FIRST_VERSION


def _literal(folder: Path, graph_name: str, metadata: Mapping[str, str], key: str) -> Any:
    """Return the value of a key: Ultralytics writes ``str`` of a Python dictionary or list."""
    text = metadata.get(key)
    if text is None:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ModelError(
            f"{folder}: {key} in the metadata of {graph_name} (Ultralytics) cannot be read: {text!r:.60}."
        ) from error
    return list(value) if isinstance(value, tuple) else value
