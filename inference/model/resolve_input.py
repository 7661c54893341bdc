"""Resolves how an image becomes the model's input, from the stated values and from the graph's own input.

Where the graph's shape is fixed, a stated value must agree with it. A fixed input of one channel is grey, even when the
general defaults of an exporter say RGB.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, TypeVar

from inference.errors import ModelError
from inference.model import value_checks
from inference.model.exporters.model_json import FILE
from inference.model_spec import (
    Align,
    ColorOrder,
    CropRounding,
    InputSpec,
    Interpolation,
    Layout,
    NormalizationOrder,
    Quantization,
    ResizeMode,
    ResizeRounding,
)

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.session import Session, ValueInfo
    from inference.model.sourced_values import SourcedValues

_Known = TypeVar("_Known")

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
}
_USUAL_SIZE = (224, 224)  # for a trial run of a graph that takes any size, while its own is not stated
_INTEGERS = ("uint8", "int8")
_CHANNEL_AXIS_NAMES = {"c", "channel", "channels", "num_channels", "in_channels"}  # of exporters' dynamic axes


def resolve_input(folder: Path, values: SourcedValues, graph: Path, session: Session) -> InputSpec:
    """Return the input's specification, and add to ``values`` what the graph shows.

    A missing value is asked for (``values.ask``), and the specification has a placeholder for it.

    Raises:
        ModelError: A value is out of range, or contradicts the graph.
    """
    image_input = _image_input(folder, session)
    dtype = _DTYPES[image_input.type]

    def known(key: str, value: _Known | None, placeholder: _Known) -> _Known:
        if value is None:
            values.ask(key)
            return placeholder
        return value

    layout = known("input.layout", _layout(folder, values, image_input), Layout.NCHW)
    channels, height, width = _axes(layout, image_input)
    color_order = known("input.color_order", _color_order(folder, values, image_input, channels), ColorOrder.RGB)
    size = known("input.size", _size(folder, values, image_input, (height, width)), (1, 1))
    resize = known("input.resize", values.checked("input.resize", value_checks.one_of(ResizeMode)), ResizeMode.SQUASH)
    resized = known("input.shortest_side", _resized(folder, values, resize, size), size)
    quantization = _quantization(folder, values, graph, image_input.name, dtype)
    scale = known("input.scale", values.checked("input.scale", value_checks.positive), 1.0)
    mean, std = _mean_and_std(values, scale, 1 if color_order is ColorOrder.GREY else 3)
    if "input.scale" in values.missing:
        values.ask_normalization()
    if "input.size" in values.missing:
        size = resized = _USUAL_SIZE
    if dtype == "uint8" and (scale, set(mean), set(std)) == (1, {0}, {1}):
        quantization = None  # the integers are the pixels themselves
    if dtype in _INTEGERS and not {"input.scale", "input.quantization"} & values.missing.keys():
        from inference.model.quantization import refuse_pixels_out_of_range

        refuse_pixels_out_of_range(folder, values, image_input.name, dtype, (scale, mean, std, quantization))
    crops = resize is ResizeMode.SHORTEST_SIDE_CROP or resized != size
    rounding = values.checked("input.crop_rounding", value_checks.one_of(CropRounding)) or CropRounding.FLOOR
    if crops:
        values.add("input.crop_rounding", rounding.value, "default: no file states it")
    interpolation = _interpolation(folder, values)
    batch = image_input.shape[0] if len(image_input.shape) == 4 else 0
    return InputSpec(
        name=image_input.name,
        dtype=dtype,
        layout=layout,
        color_order=color_order,
        height=size[0],
        width=size[1],
        resize=resize,
        resized_height=resized[0],
        resized_width=resized[1],
        interpolation=interpolation,
        scale=scale,
        mean=mean,
        std=std,
        pad_color=values.checked("input.pad_color", value_checks.rgb) or (0, 0, 0),
        batch=batch if isinstance(batch, int) else None,
        crop_rounding=rounding if crops else CropRounding.FLOOR,
        resize_rounding=None
        if resize is ResizeMode.SQUASH
        else values.checked("input.resize_rounding", value_checks.one_of(ResizeRounding)),
        antialias=values.checked("input.antialias", value_checks.boolean) is not False
        or interpolation is Interpolation.NEAREST,
        align=_align(folder, values, resize),
        quantization=quantization,
    )


def _interpolation(folder: Path, values: SourcedValues) -> Interpolation:
    """Return the filter; without antialiasing it is ``bilinear``, or ``nearest``, which never averages.

    Raises:
        ModelError: Another filter is stated without antialiasing.
    """
    values.add("input.interpolation", Interpolation.BILINEAR.value, "default: no file states it")
    found: Interpolation = values.checked("input.interpolation", value_checks.one_of(Interpolation))
    smooth = found not in (Interpolation.BILINEAR, Interpolation.NEAREST)
    if smooth and values.checked("input.antialias", value_checks.boolean) is False:
        raise ModelError(
            f"{folder}: {values.source('input.antialias')} is false, which is supported for bilinear only, but"
            f" {values.source('input.interpolation')} is {found.value!r}."
        )
    return found


def _align(folder: Path, values: SourcedValues, resize: ResizeMode) -> Align:
    found: Align | None = values.checked("input.align", value_checks.one_of(Align))
    if found is not None and resize is not ResizeMode.LETTERBOX:
        raise ModelError(
            f"{folder}: {values.source('input.align')} is {found.value!r}, but only a letterbox has padding, and"
            f' "resize" is {resize.value!r}.'
        )
    return found or Align.CENTER


def _quantization(folder: Path, values: SourcedValues, graph: Path, name: str, dtype: str) -> Quantization | None:
    """Return what the integers of the input stand for; ``None`` for another type, or where they are the pixels."""
    if dtype in _INTEGERS:
        from inference.model.quantization import resolve_integer_input

        return resolve_integer_input(folder, values, graph, name, dtype)
    if "input.quantization" in values:
        raise ModelError(
            f"{folder}: {values.source('input.quantization')} is for integers, but input {name} is {dtype}: remove it."
        )
    return None


def _image_input(folder: Path, session: Session) -> ValueInfo:
    """Return the graph's one input, which must have the type and the axes of an image."""
    if len(session.inputs) != 1:
        from inference.model.refusals.graph_inputs import not_one_input

        raise ModelError(not_one_input(folder, session.inputs))
    value = session.inputs[0]
    if value.type not in _DTYPES:
        raise ModelError(
            f"{folder}: input {value.name} is {value.type}; export it with float32, float16, uint8 or int8 pixels."
        )
    if len(value.shape) not in (3, 4):
        raise ModelError(
            f"{folder}: input {value.name} has shape {list(value.shape)}, which is not an image (N, C, H, W)."
        )
    return value


def _layout(folder: Path, values: SourcedValues, image_input: ValueInfo) -> Layout | None:
    first, _, last = image_input.shape[-3:]
    fits_first, fits_last = first in (1, 3), last in (1, 3)
    shown = None
    if fits_first != fits_last:
        shown = Layout.NCHW if fits_first else Layout.NHWC
    elif not any(isinstance(axis, int) for axis in (first, last)):
        names = [str(first).lower() in _CHANNEL_AXIS_NAMES, str(last).lower() in _CHANNEL_AXIS_NAMES]
        shown = {(True, False): Layout.NCHW, (False, True): Layout.NHWC}.get((names[0], names[1]))
    stated = values.checked("input.layout", value_checks.one_of(Layout))
    if shown is not None and stated is not None and shown != stated and _is_from_model_json(values, "input.layout"):
        raise ModelError(_contradiction(folder, values, "input.layout", image_input))
    if shown is not None and shown != stated:
        values.add("input.layout", shown.value, f"graph: shape of input {image_input.name}")
    return shown or stated


def _axes(layout: Layout, image_input: ValueInfo) -> tuple[int | None, int | None, int | None]:
    """Return channels, height and width as far as the graph fixes them."""
    fixed = [axis if isinstance(axis, int) else None for axis in image_input.shape[-3:]]
    return (fixed[0], fixed[1], fixed[2]) if layout is Layout.NCHW else (fixed[2], fixed[0], fixed[1])


def _color_order(
    folder: Path, values: SourcedValues, image_input: ValueInfo, channels: int | None
) -> ColorOrder | None:
    if channels not in (None, 1, 3):
        raise ModelError(
            f"{folder}: input {image_input.name} has {channels} channels; only 1 (grey) and 3 are supported."
        )
    stated: ColorOrder | None = values.checked("input.color_order", value_checks.one_of(ColorOrder))
    if channels is None or stated is None or (stated is ColorOrder.GREY) == (channels == 1):
        if channels == 1:
            values.add("input.color_order", ColorOrder.GREY.value, f"graph: shape of input {image_input.name}")
            return ColorOrder.GREY
        return stated
    if channels == 1 and not _is_from_model_json(values, "input.color_order"):
        return ColorOrder.GREY
    raise ModelError(_contradiction(folder, values, "input.color_order", image_input))


def _size(
    folder: Path, values: SourcedValues, image_input: ValueInfo, shown: tuple[int | None, int | None]
) -> tuple[int, int] | None:
    stated: tuple[int, int] | None = values.checked("input.size", value_checks.height_width)
    if stated is None and None in shown and "input.size_of_data_set" in values:
        values.add("input.size", values.value("input.size_of_data_set"), values.source("input.size_of_data_set"))
        stated = values.checked("input.size", value_checks.height_width)
    if stated is None:
        if shown[0] is None or shown[1] is None:
            return None
        values.add("input.size", list(shown), f"graph: shape of input {image_input.name}")
        return shown[0], shown[1]
    if any(axis is not None and axis != expected for axis, expected in zip(shown, stated, strict=True)):
        raise ModelError(_contradiction(folder, values, "input.size", image_input))
    return stated


def _resized(folder: Path, values: SourcedValues, resize: ResizeMode, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the size before the centre crop; for a shortest side, that side twice."""
    crop_pct: float | None = values.checked("input.crop_pct", value_checks.fraction)
    side: int | None = values.checked("input.shortest_side", value_checks.pixels)
    if resize is ResizeMode.SHORTEST_SIDE_CROP:
        if side is None:
            side = None if crop_pct is None else _before_crop(max(size), crop_pct)
        # Hugging Face's MobileViT crops more than there is, and pads with black. In model.json it is a slip.
        stated = values.get("input.shortest_side")
        is_typed = stated is not None and stated.source == f"{FILE}: input.shortest_side"
        if side is not None and side < max(size) and is_typed:
            raise ModelError(
                f"{folder}: {values.source('input.shortest_side')} is {side}, smaller than the input"
                f" {size[0]} x {size[1]} that is cropped from it."
            )
        return None if side is None else (side, side)
    if resize is ResizeMode.SQUASH and crop_pct is not None:
        return _before_crop(size[0], crop_pct), _before_crop(size[1], crop_pct)
    return size


def _before_crop(side: int, crop_pct: float) -> int:
    return math.floor(side / crop_pct + 1e-6)  # 224 / (224 / 235) is a hair under 235


def _mean_and_std(values: SourcedValues, scale: float, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return one mean and one std per channel in the order ``(pixel * scale - mean) / std``."""
    mean: tuple[float, ...] | None = values.checked("input.mean", value_checks.per_channel(channels))
    std: tuple[float, ...] | None = values.checked("input.std", value_checks.per_channel(channels, nonzero=True))
    mean = mean or (0.0,) * channels
    if values.checked("input.order", value_checks.one_of(NormalizationOrder)) is NormalizationOrder.MEAN_FIRST:
        mean = tuple(value * scale for value in mean)
    return mean, std or (1.0,) * channels


def _contradiction(folder: Path, values: SourcedValues, key: str, image_input: ValueInfo) -> str:
    stated = f"{values.source(key)} says {json.dumps(values.value(key))}"
    return (
        f"{folder}: {stated}, but input {image_input.name} of the graph has shape {list(image_input.shape)}:"
        f" correct {key} in {FILE}."
    )


def _is_from_model_json(values: SourcedValues, key: str) -> bool:
    return values.source(key).startswith(FILE)
