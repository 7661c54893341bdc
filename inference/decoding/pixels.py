"""Converts any pixel mode to RGB or grey and reduces the image on the way, band by band.

A band is a few hundred rows: converting a 50-megapixel palette, 16-bit or transparent image then takes a few megabytes
beside the decoder's own buffer, where converting it whole would take another 200.

Rules: 16 bits and more are scaled, not clipped; transparent pixels are composited on the background; CMYK is converted
by Pillow's formula, without profiles; embedded ICC profiles and gamma are not applied, as in the models' training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image, ImageChops

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

Mode = Literal["RGB", "L"]

WHITE = (255, 255, 255)

_BAND_PIXELS = 1 << 16  # 256 KiB of RGB: stays in the cache
_TIFF_BITS_PER_SAMPLE = 258
_TIFF_SAMPLE_FORMAT = 339
_TIFF_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_SIGNED = 2
_UNSIGNED_32 = 2**32 - 1


def convert_and_reduce(
    image: Image.Image,
    factor: int,
    *,
    mode: Mode = "RGB",
    background: tuple[int, int, int] = WHITE,
    anchor_edges: tuple[bool, bool] = (False, False),
) -> Image.Image:
    """Convert ``image`` to ``mode`` and divide both axes by ``factor``, averaging blocks of pixels.

    Args:
        image: Loaded, of any mode but ``F``.
        factor: 1 or more; the result is ``ceil(size / factor)``.
        mode: ``RGB`` or ``L``.
        background: The colour behind transparent pixels, RGB in 0..255.
        anchor_edges: Whether the first block begins at the right edge, and at the bottom edge; a block that is not full
            is then at the left or at the top. With ``Orientation.anchor_edges``, a picture is averaged alike in every
            stored orientation.
    """
    if image.mode == mode and not image.has_transparency_data:
        return _reduce(image, factor, anchor_edges)
    white = _white_level(image)
    negative = image.mode.startswith("I") and _is_negative(image)
    width, height = image.size
    rows = max(1, _BAND_PIXELS // (width * factor)) * factor
    flat = Image.new(mode, (-(-width // factor), -(-height // factor)))
    for top, bottom in _spans(height, factor, rows, anchor_edges[1]):
        band = _convert(image.crop((0, top, width, bottom)), white, background)
        band = ImageChops.invert(band) if negative else band
        band = band if band.mode == mode else band.convert(mode)
        flat.paste(_reduce(band, factor, (anchor_edges[0], False)), (0, -(-top // factor)))
    return flat


def _reduce(image: Image.Image, factor: int, anchor_edges: tuple[bool, bool]) -> Image.Image:
    """Average blocks of ``factor`` x ``factor`` pixels."""
    if factor == 1 or not any(anchor_edges):
        return image.reduce(factor) if factor > 1 else image
    width, height = image.size
    small = Image.new(image.mode, (-(-width // factor), -(-height // factor)))
    for top, bottom in _spans(height, factor, height + factor, anchor_edges[1]):
        for left, right in _spans(width, factor, width + factor, anchor_edges[0]):
            small.paste(image.reduce(factor, (left, top, right, bottom)), (-(-left // factor), -(-top // factor)))
    return small


def _spans(size: int, factor: int, step: int, from_end: bool) -> Iterator[tuple[int, int]]:  # noqa: FBT001 - half of a pair
    """Cut an axis into spans of whole blocks, ``step`` pixels each; a block that is not full is last, or else first."""
    first = size % factor if from_end else 0
    if first:
        yield 0, first
    for start in range(first, size, step):
        yield start, min(start + step, size)


def _white_level(image: Image.Image) -> int:
    """Return the sample value that means white, for modes deeper than 8 bits."""
    tags = _tiff_tags(image)
    if tags is None:
        return 65535
    bits = tags.get(_TIFF_BITS_PER_SAMPLE, (16,))[0]
    signed = tags.get(_TIFF_SAMPLE_FORMAT, (1,))[0] == _SIGNED
    return int(2 ** (bits - signed) - 1)


def _is_negative(image: Image.Image) -> bool:
    """Return whether 0 means white, which Pillow handles in 8 bits only."""
    tags = _tiff_tags(image)
    return tags is not None and tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO


def _tiff_tags(image: Image.Image) -> Mapping[int, Any] | None:
    """Return the tags of a TIFF, ``None`` for other formats; looking for the attribute imports no TIFF reader."""
    return getattr(image, "tag_v2", None)


def _convert(band: Image.Image, white: int, background: tuple[int, int, int]) -> Image.Image:
    """Turn one band into RGB or L."""
    if band.mode.startswith("I"):
        return _from_deep_grey(band, white, background)
    if not band.has_transparency_data:
        return band if band.mode == "L" else band.convert("RGB")
    transparent = band.info.get("transparency")
    if isinstance(transparent, tuple) and max(transparent) > 255:  # 16-bit RGB: pixels lost their low byte
        band.info["transparency"] = tuple(value >> 8 for value in transparent)
    colours = band.convert("LA").convert("RGBA") if band.mode == "La" else band.convert("RGBA")
    flat = Image.new("RGB", band.size, background)
    flat.paste(colours.convert("RGB"), mask=colours.getchannel("A"))
    return flat


def _from_deep_grey(band: Image.Image, white: int, background: tuple[int, int, int]) -> Image.Image:
    """Scale 0..white to 0..255; one value may be transparent."""
    samples: NDArray[np.generic] = np.asarray(band)
    if white == _UNSIGNED_32:
        samples = samples.view(np.uint32)  # Pillow keeps 32 bits as signed
    scaled = samples.astype(np.float32) * np.float32(255 / white) + np.float32(0.5)
    grey = Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))
    transparent = band.info.get("transparency")
    if not isinstance(transparent, int):
        return grey
    flat = Image.new("RGB", band.size, background)
    flat.paste(grey.convert("RGB"), mask=Image.fromarray(samples != transparent))
    return flat
