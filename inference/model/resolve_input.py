"""Settles how an image becomes the model's input, from what is stated and what the graph itself shows.

The graph is a witness too: where its shape is certain it must agree with what is stated, and a fixed 1-channel input
is grey whatever an exporter's general defaults say.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, TypeVar

from inference.errors import ModelError
from inference.model import value_checks
from inference.model.exporters.model_json import FILE
from inference.model.missing_values import missing_facts
from inference.model_spec import ColorOrder, InputSpec, Interpolation, Layout, Order, Resize

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.session import Port, Session
    from inference.model.sourced_values import Facts

_Known = TypeVar("_Known")

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}
_CHANNEL_AXIS = {"c", "channel", "channels", "num_channels", "in_channels"}  # how exporters name a dynamic axis


def resolve_input(folder: Path, facts: Facts, session: Session) -> InputSpec:
    """Return the input's specification.

    Raises:
        ModelError: A fact is missing, has no sense, or contradicts the graph.
    """
    port = _image_port(folder, session)
    dtype = _DTYPES[port.type]
    missing: list[str] = []

    def known(key: str, value: _Known | None, stand_in: _Known) -> _Known:
        """Go on with a stand-in when a fact is missing, so that one refusal can name all that are."""
        if value is None:
            missing.append(key)
            return stand_in
        return value

    layout = known("input.layout", _layout(folder, facts, port), Layout.NCHW)
    channels, height, width = _axes(layout, port)
    color_order = known("input.color_order", _color_order(folder, facts, port, channels), ColorOrder.RGB)
    size = known("input.size", _size(folder, facts, port, (height, width)), (1, 1))
    resize = known("input.resize", facts.checked("input.resize", value_checks.one_of(Resize)), Resize.SQUASH)
    resized = known("input.shortest_side", _resized(folder, facts, resize, size), size)
    if dtype == "uint8":
        # Whole numbers 0..255 are the only pixels that such an input can hold.
        facts.state_normalisation(1, 0, 1, f"graph: input {port.name} is uint8")
    scale = known("input.scale", facts.checked("input.scale", value_checks.positive), 1.0)
    mean, std = _mean_and_std(facts, scale, 1 if color_order is ColorOrder.GREY else 3)
    if missing:
        raise ModelError(missing_facts(folder, facts, missing))
    batch = port.shape[0] if len(port.shape) == 4 else 0
    facts.state("input.interpolation", Interpolation.BILINEAR.value, "default: nobody states it")
    return InputSpec(
        name=port.name,
        dtype=dtype,
        layout=layout,
        color_order=color_order,
        height=size[0],
        width=size[1],
        resize=resize,
        resized_height=resized[0],
        resized_width=resized[1],
        interpolation=facts.checked("input.interpolation", value_checks.one_of(Interpolation))
        or Interpolation.BILINEAR,
        scale=scale,
        mean=mean,
        std=std,
        pad_color=facts.checked("input.pad_color", value_checks.rgb) or (0, 0, 0),
        batch=batch if isinstance(batch, int) else None,
    )


def _image_port(folder: Path, session: Session) -> Port:
    if len(session.inputs) != 1:
        names = ", ".join(port.name for port in session.inputs)
        raise ModelError(
            f"{folder}: the graph wants {len(session.inputs)} inputs ({names}); a classifier wants an image."
        )
    port = session.inputs[0]
    if port.type not in _DTYPES:
        raise ModelError(
            f"{folder}: input {port.name} is {port.type}; export it with float32, float16 or uint8 pixels."
        )
    if len(port.shape) not in (3, 4):
        raise ModelError(f"{folder}: input {port.name} has shape {list(port.shape)}, which is no image (N, C, H, W).")
    return port


def _layout(folder: Path, facts: Facts, port: Port) -> Layout | None:
    first, _, last = port.shape[-3:]
    fits_first, fits_last = first in (1, 3), last in (1, 3)
    shown = None
    if fits_first != fits_last:
        shown = Layout.NCHW if fits_first else Layout.NHWC
    elif not any(isinstance(axis, int) for axis in (first, last)):
        names = [str(first).lower() in _CHANNEL_AXIS, str(last).lower() in _CHANNEL_AXIS]
        shown = {(True, False): Layout.NCHW, (False, True): Layout.NHWC}.get((names[0], names[1]))
    stated = facts.checked("input.layout", value_checks.one_of(Layout))
    if shown is not None and stated is not None and shown != stated and _is_ours(facts, "input.layout"):
        raise ModelError(_contradiction(folder, facts, "input.layout", port))
    if shown is not None and shown != stated:
        facts.state("input.layout", shown.value, f"graph: shape of input {port.name}")
    return shown or stated


def _axes(layout: Layout, port: Port) -> tuple[int | None, int | None, int | None]:
    """Return channels, height and width as far as the graph fixes them."""
    fixed = [axis if isinstance(axis, int) else None for axis in port.shape[-3:]]
    return (fixed[0], fixed[1], fixed[2]) if layout is Layout.NCHW else (fixed[2], fixed[0], fixed[1])


def _color_order(folder: Path, facts: Facts, port: Port, channels: int | None) -> ColorOrder | None:
    if channels not in (None, 1, 3):
        raise ModelError(f"{folder}: input {port.name} has {channels} channels; only 1 (grey) and 3 can be filled.")
    stated: ColorOrder | None = facts.checked("input.color_order", value_checks.one_of(ColorOrder))
    if channels is None or stated is None or (stated is ColorOrder.GREY) == (channels == 1):
        if channels == 1:
            facts.state("input.color_order", ColorOrder.GREY.value, f"graph: shape of input {port.name}")
            return ColorOrder.GREY
        return stated
    if channels == 1 and not _is_ours(facts, "input.color_order"):
        return ColorOrder.GREY
    raise ModelError(_contradiction(folder, facts, "input.color_order", port))


def _size(folder: Path, facts: Facts, port: Port, shown: tuple[int | None, int | None]) -> tuple[int, int] | None:
    stated: tuple[int, int] | None = facts.checked("input.size", value_checks.height_width)
    if stated is None:
        if shown[0] is None or shown[1] is None:
            return None
        facts.state("input.size", list(shown), f"graph: shape of input {port.name}")
        return shown[0], shown[1]
    if any(axis is not None and axis != wanted for axis, wanted in zip(shown, stated, strict=True)):
        raise ModelError(_contradiction(folder, facts, "input.size", port))
    return stated


def _resized(folder: Path, facts: Facts, resize: Resize, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the size before the centre crop; for a shortest side, that side twice."""
    crop_pct: float | None = facts.checked("input.crop_pct", value_checks.fraction)
    side: int | None = facts.checked("input.shortest_side", value_checks.pixels)
    if resize is Resize.SHORTEST_SIDE_CROP:
        if side is None:
            side = None if crop_pct is None else _before_crop(max(size), crop_pct)
        if side is not None and side < max(size):
            raise ModelError(
                f"{folder}: {facts.source('input.shortest_side')} is {side}, smaller than the input"
                f" {size[0]} x {size[1]} that is cropped from it."
            )
        return None if side is None else (side, side)
    if resize is Resize.SQUASH and crop_pct is not None:
        return _before_crop(size[0], crop_pct), _before_crop(size[1], crop_pct)
    return size


def _before_crop(side: int, crop_pct: float) -> int:
    return math.floor(side / crop_pct + 1e-6)  # 224 / (224 / 235) is a hair under 235


def _mean_and_std(facts: Facts, scale: float, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return one mean and one std per channel in the order ``(pixel * scale - mean) / std``."""
    mean: tuple[float, ...] | None = facts.checked("input.mean", value_checks.per_channel(channels))
    std: tuple[float, ...] | None = facts.checked("input.std", value_checks.per_channel(channels, nonzero=True))
    mean = mean or (0.0,) * channels
    if facts.checked("input.order", value_checks.one_of(Order)) is Order.MEAN_FIRST:
        mean = tuple(value * scale for value in mean)
    return mean, std or (1.0,) * channels


def _contradiction(folder: Path, facts: Facts, key: str, port: Port) -> str:
    fact = facts.get(key)
    said = "" if fact is None else f"{fact.source} says {json.dumps(fact.value)}"
    return (
        f"{folder}: {said}, but input {port.name} of the graph has shape {list(port.shape)}: correct {key} in {FILE}."
    )


def _is_ours(facts: Facts, key: str) -> bool:
    return facts.source(key).startswith(FILE)
