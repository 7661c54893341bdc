"""Reads an image's header, and refuses every image that can be refused before a pixel is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.capture.exif_facts import read_capture_facts
from inference.decoding.formats.detect import detect_format
from inference.decoding.formats.image_format import load_format
from inference.errors import DAMAGE, PermanentError, Reason

if TYPE_CHECKING:
    from inference.decoding.formats.image_format import Header, ImageFormat
    from inference.limits import Limits

# Photos at the lowest quality there is, enlarged until nothing was sharp, came to 668 pixels per byte, and a blur
# without any content to 3,400 (docs/images.md).
_MAX_PIXELS_PER_BYTE = 10_000
# Tiles reach past the edges: the HEIC of a phone has 12,240 x 16,320 = 199.8 million pixels in tiles of 201.3 million.
_TILE_PADDING = 1.05
_LARGE_PIXELS = 50_000_000  # a blank page below this is decoded in a second or two, however small its file


def read_header(content: bytes, limits: Limits) -> Header:
    """Read the header of an encoded image, and refuse what cannot be decoded within ``limits``.

    It takes well under a millisecond for most images.

    Raises:
        PermanentError: Any reason but those that only pixels reveal; ``error.image`` is set where the size is known.
    """
    if len(content) > limits.max_bytes:
        raise PermanentError(
            Reason.TOO_MANY_BYTES, f"The file has {len(content):,} bytes; the limit is {limits.max_bytes:,}."
        )
    image_format = load_format(detect_format(content))
    header = _read_header(image_format, content, limits)
    profile = image_format.color_profile(content) or header.info.color_profile
    info = header.info._replace(color_profile=profile, capture=read_capture_facts(header.exif))
    header = header._replace(info=info, exif=None)
    _refuse_too_many_pixels(header, limits)
    if image_format.can_state_any_size:
        _refuse_hollow(header, content)
    image_format.refuse(header, content)
    return header


def _read_header(image_format: ImageFormat, content: bytes, limits: Limits) -> Header:
    """Read the header of a whole file or, where that is asked for, of one that may be decoded in part."""
    try:
        frames = image_format.validate(content, limits)
    except PermanentError as error:
        if not (limits.accept_damaged and image_format.is_decodable_in_part and error.reason in DAMAGE):
            raise
        try:
            return image_format.read_header(content, 1, limits)._replace(refusal=error)
        except PermanentError:
            raise error from None
    return image_format.read_header(content, frames, limits)


def _refuse_too_many_pixels(header: Header, limits: Limits) -> None:
    info = header.info
    if header.pixels > limits.max_pixels:
        detail = (
            f"The image has {info.width:,} x {info.height:,} = {header.pixels:,} pixels;"
            f" the limit is {limits.max_pixels:,}."
        )
        raise PermanentError(Reason.TOO_MANY_PIXELS, detail, info)
    if header.coded_pixels > limits.max_pixels * _TILE_PADDING:
        detail = (
            f"The image states {info.width:,} x {info.height:,} pixels and is coded in {header.coded_pixels:,};"
            f" the limit is {limits.max_pixels:,}."
        )
        raise PermanentError(Reason.TOO_MANY_PIXELS, detail, info)


def _refuse_hollow(header: Header, content: bytes) -> None:
    """Refuse a file of next to nothing that would keep its decoder busy for seconds."""
    pixels = max(header.pixels, header.coded_pixels)
    if pixels > _LARGE_PIXELS and pixels > len(content) * _MAX_PIXELS_PER_BYTE:
        detail = (
            f"The file codes {pixels:,} pixels in {len(content):,} bytes; no picture has more than"
            f" {_MAX_PIXELS_PER_BYTE:,} pixels per byte."
        )
        raise PermanentError(Reason.DECOMPRESSION_BOMB, detail, header.info)
