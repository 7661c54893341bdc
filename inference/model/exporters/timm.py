"""timm: ``config.json`` with ``pretrained_cfg``. Every timm model takes RGB, 0 to 1, then mean and std."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from inference.model.exporters.json_file import read_object

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

FILE = "config.json"


def read(folder: Path, values: SourcedValues) -> None:
    """Add what ``pretrained_cfg`` states.

    Raises:
        ModelError: The file is broken.
    """
    config = read_object(folder / FILE)
    if config is None:
        return
    nested = config.get("pretrained_cfg")
    prefix, settings = ("pretrained_cfg.", nested) if isinstance(nested, dict) else ("", config)
    if not {"input_size", "mean", "std"} <= settings.keys():
        return
    values.add("labels", _label_names(config) or _label_names(settings), f"{FILE}: label_names")
    convention = f"{FILE}: {prefix}input_size (timm's convention)"
    values.add("input.layout", "NCHW", convention)
    values.add("input.color_order", "RGB", convention)
    values.add("output.logits_activation", "softmax", convention)
    size = settings["input_size"]
    if isinstance(size, list) and len(size) == 3:
        values.add("input.size", size[1:], f"{FILE}: {prefix}input_size")
        _add_resize(settings, size[1], size[2], f"{FILE}: {prefix}", values)
    interpolation = settings.get("interpolation")
    values.add(
        "input.interpolation",
        "bilinear" if interpolation == "random" else interpolation,
        f"{FILE}: {prefix}interpolation",
    )
    values.add_normalization(1 / 255, settings["mean"], settings["std"], f"{FILE}: {prefix}mean, std")


def _add_resize(settings: dict[str, Any], height: int, width: int, prefix: str, values: SourcedValues) -> None:
    """Add the resize. A crop of a non-square input follows a rule of timm that ``ResizeMode`` cannot express."""
    crop_pct, mode = settings.get("crop_pct", 0.875), settings.get("crop_mode", "center")
    source = f"{prefix}crop_mode" if "crop_mode" in settings else f"{prefix}crop_pct"
    if mode == "squash" or (mode == "center" and height == width):
        resize = "squash" if mode == "squash" else "shortest_side_crop"
        values.add_resize(resize, source, crop_pct=crop_pct, crop_rounding="half_even")
    elif mode == "border" and crop_pct == 1:
        mean_color = [math.floor(255 * mean + 0.5) for mean in settings["mean"]]
        values.add_resize("letterbox", source, pad_color=mean_color)


def _label_names(settings: dict[str, Any]) -> Any:
    names, descriptions = settings.get("label_names"), settings.get("label_descriptions")
    if isinstance(names, list) and isinstance(descriptions, dict):
        return [descriptions.get(name, name) for name in names]
    return names
