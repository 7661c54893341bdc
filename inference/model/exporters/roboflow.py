"""Roboflow: ``environment.json`` with the classes and the preprocessing, ``model_type.json`` with the architecture.

The meaning is that of ``inference/core/models/roboflow.py`` and ``classification_base.py`` in
github.com/roboflow/inference: RGB, resized by OpenCV, divided by 255, then a mean and std that depend on the
architecture. The graph's own size counts; the size in the file is that of the data set.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from inference.errors import ModelError
from inference.model.exporters.json_file import read_json
from inference.model.exporters.unsupported import refuse_step

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

FILE = "environment.json"
MODEL_TYPE = "model_type.json"

_IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# By the beginning of the architecture's name: mean and std of its class in inference/models.
_NORMALIZATIONS = {"resnet": _IMAGENET, "vit": ([0.5] * 3, [0.5] * 3), "yolov8": ([0.5] * 3, [0.5] * 3)}
_WHITE, _BLACK = [255, 255, 255], [0, 0, 0]
# Steps that change the picture's content; auto-orient is done for every image.
_UNSUPPORTED_STEPS = ("static-crop", "contrast", "grayscale", "tile", "isolate")


def read(folder: Path, values: SourcedValues) -> None:
    """Add labels and preprocessing.

    Raises:
        ModelError: A file is broken, or the preprocessing has a step that is not supported.
    """
    environment = read_json(folder / FILE)
    if not isinstance(environment, dict) or {"CLASS_MAP", "CLASS_LIST", "PREPROCESSING"}.isdisjoint(environment):
        return  # another program's environment
    for key in ("CLASS_MAP", "CLASS_LIST"):
        names = _parsed(folder, key, environment.get(key))
        if names and isinstance(names, list | dict):
            values.add("labels", names, f"{FILE}: {key}")
    multi_label = environment.get("MULTICLASS") in (True, "true", "True")
    if "MULTICLASS" in environment and multi_label:
        values.add("output.logits_activation", "sigmoid", f"{FILE}: MULTICLASS")
    else:
        values.add("output.logits_activation", "softmax", f"{FILE}: MULTICLASS (false by default)")
    preprocessing = _parsed(folder, "PREPROCESSING", environment.get("PREPROCESSING"))
    if isinstance(preprocessing, dict):
        _add_preprocessing(folder, preprocessing, values)
    _add_architecture(folder, environment, values)


def _parsed(folder: Path, key: str, value: Any) -> Any:
    """Return a value that Roboflow writes as JSON text in some files and as JSON in others.

    Raises:
        ModelError: It is text, but no JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{folder}: {FILE}: {key} is not valid JSON: {value!r:.60}.") from error


def _add_preprocessing(folder: Path, preprocessing: dict[str, Any], values: SourcedValues) -> None:
    for step, parameters in preprocessing.items():
        if step in {"resize", "auto-orient"} or not _is_enabled(parameters):
            continue
        known = step if step in _UNSUPPORTED_STEPS else f"{step} (unknown)"
        refuse_step(folder, f"{FILE}: PREPROCESSING {known!r:.60}", values)
        return
    resize = preprocessing.get("resize")
    resize = resize if isinstance(resize, dict) and _is_enabled(resize) else {}
    source = f"{FILE}: PREPROCESSING.resize"
    values.add("input.color_order", "RGB", f"{FILE}: PREPROCESSING (Roboflow's convention)")
    values.add("input.layout", "NCHW", f"{FILE}: PREPROCESSING (Roboflow's convention)")
    name = str(resize.get("format", "Stretch to"))
    words = name.lower()
    if words.startswith("stretch"):
        values.add_resize("squash", source)
    elif words.startswith("fill"):
        values.add_resize("shortest_side_crop", source, crop_pct=1, crop_rounding="floor")
    elif words.startswith("fit") and ("black" in words or "white" in words):
        color = _BLACK if "black" in words else _WHITE
        values.add_resize("letterbox", source, pad_color=color, resize_rounding="floor")
    else:
        refuse_step(folder, f"{source}.format {name!r:.40}", values)
        return
    if "input.interpolation" not in values:
        values.add("input.interpolation", "bilinear", f"{source} (OpenCV's default)")
        values.add("input.antialias", False, f"{source} (OpenCV does not antialias)")  # noqa: FBT003 - a value
    if isinstance(resize.get("height"), int) and isinstance(resize.get("width"), int):
        values.add("input.size_of_data_set", [resize["height"], resize["width"]], source)


def _is_enabled(parameters: Any) -> bool:
    """Whether a step is on: Roboflow lists some steps with ``enabled`` false."""
    return parameters.get("enabled", True) is not False if isinstance(parameters, dict) else bool(parameters)


def _add_architecture(folder: Path, environment: dict[str, Any], values: SourcedValues) -> None:
    """Add mean and std, where a file names an architecture whose class in Roboflow's library states them."""
    where, named = f"{FILE}: MODEL_TYPE", environment.get("MODEL_TYPE") or environment.get("MODEL_NAME")
    if (folder / MODEL_TYPE).is_file():
        content = read_json(folder / MODEL_TYPE)
        if isinstance(content, dict) and content.get("model_type"):
            where, named = f"{MODEL_TYPE}: model_type", content["model_type"]
            task = content.get("project_task_type", "classification")
            if "classification" not in str(task):
                raise ModelError(
                    f"{folder}: {MODEL_TYPE}: project_task_type is {task!r:.40}, not classification: export a"
                    f" classification model."
                )
    for part, (mean, std) in _NORMALIZATIONS.items():
        if isinstance(named, str) and named.lower().startswith(part):
            values.add_normalization(1 / 255, mean, std, f"{where} (mean and std of Roboflow's {part} class)")
