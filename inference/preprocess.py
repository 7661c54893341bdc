"""Turns a decoded image into the model's input tensor: one filtered resize, then one multiply-add.

The geometry is that of the exporters' own preprocessing: resize the whole image, then crop its centre (offsets rounded
as ``crop_rounding`` states). An image that the decoder did not reduce takes these two steps, and its pixels agree to
the bit. A reduced image differs by the reduction anyway, so only the cropped box is resized, which takes 40 % less
time. Pillow's filter reads past the edge of the box, so the result differs only by rounding: Pillow keeps the box in
float32 and orders its two passes by the size of the result. The orientation of a reduced image is applied after the
resize, when it is small. ``reducing_gap`` is not used: the decoder has already reduced the image to two to four times
the needed size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from inference.decoding.partial import FILLER
from inference.model_spec import (
    Align,
    ColorOrder,
    CropRounding,
    InputSpec,
    Interpolation,
    Layout,
    ResizeMode,
    ResizeRounding,
)
from inference.resample import resize_bilinear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.decoding.decode import DecodedImage
    from inference.decoding.orientation import Box, Orientation

_FILTERS = {
    Interpolation.NEAREST: Image.Resampling.NEAREST,
    Interpolation.BILINEAR: Image.Resampling.BILINEAR,
    Interpolation.BICUBIC: Image.Resampling.BICUBIC,
    Interpolation.LANCZOS: Image.Resampling.LANCZOS,
    Interpolation.BOX: Image.Resampling.BOX,
    Interpolation.HAMMING: Image.Resampling.HAMMING,
}

_PIXEL_BYTES = 4  # of Pillow's images
_FLOAT32_BYTES = 4


def needed_size(spec: InputSpec, width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) in pixels that the whole image is resized to before any crop.

    ``nearest`` and a resize without antialiasing pick single pixels of the original, so they need all of them.
    """
    if spec.interpolation is Interpolation.NEAREST or not spec.antialias:
        return width, height
    return _resized(spec, width, height)


def memory_bytes(spec: InputSpec, width: int, height: int, reduction: int) -> int:
    """Return an upper bound of what ``preprocess`` takes at its peak beside the decoded image, in bytes.

    Args:
        spec: The model's input.
        width: Of the original, upright, in pixels.
        height: The same.
        reduction: What the decode divides both axes by.
    """
    whole_width, whole_height = _resized(spec, width, height)
    columns, rows = -(-width // reduction), -(-height // reduction)
    half_resized = max(whole_width * rows, columns * whole_height)  # Pillow resizes one axis after the other
    resized = _PIXEL_BYTES * (half_resized + whole_width * whole_height + spec.width * spec.height)
    samples = spec.channels * spec.width * spec.height
    size = np.dtype(spec.dtype).itemsize
    # Pixels (in two steps) and planes of 8 bits, the float32 tensor, and a copy for another type and another layout.
    copies = samples * (3 + _FLOAT32_BYTES + size * ((spec.dtype != "float32") + (spec.layout is Layout.NHWC)))
    repeated = samples * size * (1 + (spec.batch or 0))
    return max(resized, copies, repeated)


def preprocess(spec: InputSpec, decoded: DecodedImage) -> NDArray[np.generic]:
    """Turn a decoded image into the model's input, upright.

    Args:
        spec: The model's input.
        decoded: An ``RGB`` image, or ``L`` for a grey model.

    Returns:
        An array of ``spec.dtype`` in ``spec.layout`` with the graph's batch size: (N, C, H, W) or (N, H, W, C), or
        without N when the graph has no batch axis. A fixed batch size above one holds the image that many times.
    """
    return add_batch_axis(spec, normalize(spec, _fit(spec, decoded)))


def shows_picture(spec: InputSpec, decoded: DecodedImage) -> bool:
    """Return whether the model sees anything of a damaged picture: its centre crop may hold nothing but the filler."""
    return bool((_fit(spec, decoded) != FILLER).any())


def normalize(spec: InputSpec, pixels: NDArray[np.uint8]) -> NDArray[np.generic]:
    """Apply ``(pixel * scale - mean) / std`` to (H, W, C) uint8 pixels in the model's channel order.

    Returns:
        (C, H, W) or (H, W, C) of ``spec.dtype``, contiguous. An integer result is rounded, half to even, and clipped to
        its range; with ``spec.quantization`` it is ``round(normalized / scale) + zero_point``.
    """
    # Channels first before the arithmetic: each plane is then contiguous, six times as fast as (H, W, C).
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    mean, std = np.array(spec.mean), np.array(spec.std)
    step, zero_point = spec.quantization or (1.0, 0)
    factor = (spec.scale / std / step).astype(np.float32)[:, None, None]
    offset = (-mean / std / step).astype(np.float32)[:, None, None]
    if np.all(factor == 1) and np.all(offset == 0):
        tensor: NDArray[np.generic] = planes
    else:
        tensor = planes * factor
        tensor += offset
    if np.dtype(spec.dtype).kind in "iu" and (zero_point or tensor.dtype != spec.dtype):
        limits = np.iinfo(spec.dtype)
        tensor = np.clip(np.rint(tensor) + np.float32(zero_point), limits.min, limits.max)
    tensor = tensor.astype(spec.dtype, copy=False)
    return np.ascontiguousarray(tensor.transpose(1, 2, 0)) if spec.layout is Layout.NHWC else tensor


def add_batch_axis(spec: InputSpec, tensor: NDArray[np.generic]) -> NDArray[np.generic]:
    """Put the batch axis of the graph in front of an image's tensor."""
    if spec.batch == 0:
        return tensor
    return tensor[None] if spec.batch in (None, 1) else np.repeat(tensor[None], spec.batch or 1, axis=0)


def _fit(spec: InputSpec, decoded: DecodedImage) -> NDArray[np.uint8]:
    """Return (H, W, C) uint8 pixels of the input's size in the model's channel order."""
    image, orientation = decoded.image, decoded.orientation
    upright_size = orientation.swap(image.size)
    # The place of the original in the decoded image: a reduced image may reach past it by a part of a pixel.
    x0, y0, x1, y1 = whole = orientation.to_upright(
        decoded.box or (0.0, 0.0, float(image.width), float(image.height)), upright_size
    )
    whole_width, whole_height = _resized(spec, decoded.info.width, decoded.info.height)
    if spec.resize is ResizeMode.LETTERBOX:
        background = spec.pad_color if image.mode == "RGB" else Image.new("RGB", (1, 1), spec.pad_color).convert("L")
        color = background if isinstance(background, tuple) else background.getpixel((0, 0))
        fitted = Image.new(image.mode, (spec.width, spec.height), color)
        resized = _resize(spec, image, (whole_width, whole_height), whole, orientation)
        place = (spec.width - whole_width) // 2, (spec.height - whole_height) // 2
        fitted.paste(resized, place if spec.align is Align.CENTER else (0, 0))
    elif (
        upright_size == (decoded.info.width, decoded.info.height)
        or min(whole_width - spec.width, whole_height - spec.height) < 0
    ):
        left, top = _crop_offset(spec, whole_width - spec.width), _crop_offset(spec, whole_height - spec.height)
        resized = _resize(spec, image, (whole_width, whole_height), whole, orientation)
        fitted = resized.crop((left, top, left + spec.width, top + spec.height))  # black where it reaches past an edge
    else:
        left, top = _crop_offset(spec, whole_width - spec.width), _crop_offset(spec, whole_height - spec.height)
        across, down = (x1 - x0) / whole_width, (y1 - y0) / whole_height
        box = (
            x0 + left * across,
            y0 + top * down,
            x0 + (left + spec.width) * across,
            y0 + (top + spec.height) * down,
        )
        fitted = _resize(spec, image, (spec.width, spec.height), box, orientation)
    pixels = np.asarray(fitted)
    if pixels.ndim == 2:
        return pixels[:, :, None]
    return pixels[:, :, ::-1] if spec.color_order is ColorOrder.BGR else pixels


def _crop_offset(spec: InputSpec, surplus: int) -> int:
    """Return how many of the surplus pixels of an axis are before the centre crop; negative for black padding."""
    if spec.crop_rounding is CropRounding.FLOOR:
        return surplus // 2
    return round(surplus / 2) if surplus >= 0 else -(-surplus // 2)  # torchvision rounds its padding down


def _resized(spec: InputSpec, width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) of the whole image before the crop or the padding; each at least 1."""
    if spec.resize is ResizeMode.SHORTEST_SIDE_CROP:
        side = spec.resized_height
        rounding = spec.resize_rounding or ResizeRounding.FLOOR
        if width <= height:
            return side, max(side, _scaled(height, side, width, rounding))
        return max(side, _scaled(width, side, height, rounding)), side
    if spec.resize is ResizeMode.LETTERBOX:
        rounding = spec.resize_rounding or ResizeRounding.NEAREST
        if spec.width * height <= spec.height * width:
            return spec.width, max(1, _scaled(height, spec.width, width, rounding))
        return max(1, _scaled(width, spec.height, height, rounding)), spec.height
    return spec.resized_width, spec.resized_height


def _scaled(length: int, numerator: int, denominator: int, rounding: ResizeRounding) -> int:
    if rounding is ResizeRounding.FLOOR:
        return length * numerator // denominator
    return round(length * (numerator / denominator))


def _resize(
    spec: InputSpec, image: Image.Image, size: tuple[int, int], box: Box, orientation: Orientation
) -> Image.Image:
    """Resize the part of the image in ``box`` to ``size``, both upright, then apply the orientation to the result."""
    left, top, right, bottom = orientation.to_stored(box, orientation.swap(image.size))
    # Rounding may move the edges slightly outside the image.
    inside = max(left, 0.0), max(top, 0.0), min(right, image.width), min(bottom, image.height)
    if not spec.antialias:
        return orientation.apply(resize_bilinear(image, orientation.swap(size), inside))
    return orientation.apply(image.resize(orientation.swap(size), _FILTERS[spec.interpolation], inside))
