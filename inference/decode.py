"""Encoded bytes become an upright RGB image, no larger than its use needs.

Two steps, so that a caller can ask for memory in between::

    header = read_header(content, limits)                 # cheap, no pixels; refuses what is too large
    with admission.reserve(decode_cost(header, needed)):
        decoded = decode(content, header, needed=needed)
        model_input = preprocess(decoded.image)           # one filtered resize of a small image

``needed`` maps the upright original size ``(width, height)`` to the size the whole image is going to be resized to
before any crop: for "shortest side 256" and 4000 x 3000 it answers ``(341, 256)``. The decoded image is at least twice
that in both axes, or the original where that is smaller: docs/adr/0004-reduced-scale-decode.md.
JPEG shrinks inside the decoder, which is where the time goes; all other formats shrink right after it.

``decoded.image`` is upright: nothing more has to be rotated. ``decoded.info`` tells the original's upright size.
All functions are safe to call from many threads and change no global of Pillow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, JpegImagePlugin

from inference.codecs import decoder_errors, open_image
from inference.errors import PermanentError
from inference.header import Header, read_header
from inference.pixels import WHITE, Mode, flatten

if TYPE_CHECKING:
    from inference.predictions import ImageInfo

__all__ = ["DecodedImage", "Header", "Needed", "decode", "jpeg_scale", "read_header", "reduction"]

Needed = Callable[[int, int], tuple[int, int]]

_OVERSAMPLING = 2  # the reduced image keeps at least this many pixels per needed pixel and axis (ADR 0004)
_JPEG_SCALES = (8, 4, 2)

# EXIF orientation -> what makes the stored pixels upright (EXIF 2.32, tag 0x0112).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright picture in the mode that was asked for, at least twice the needed size, and what the original was."""

    image: Image.Image
    info: ImageInfo


def decode(
    content: bytes,
    header: Header,
    *,
    needed: Needed,
    mode: Mode = "RGB",
    background: tuple[int, int, int] = WHITE,
) -> DecodedImage:
    """Decode the first frame, upright, in ``mode``, reduced as far as ``needed`` allows.

    Args:
        content: The bytes that ``header`` was read from.
        header: The answer of ``read_header``: the proof that the limits were checked.
        needed: Upright original size to the size the whole image is resized to next.
        mode: ``RGB`` or ``L``.
        background: What transparent pixels lie on, RGB in 0..255.

    Raises:
        PermanentError: ``truncated``, ``corrupt`` or ``decompression_bomb``: what only the pixels reveal.
        TransientError: Memory ran out.
    """
    info = header.info
    factor = reduction(header, needed)
    image = open_image(info.format, content)
    try:
        with decoder_errors(info.format):
            if isinstance(image, JpegImagePlugin.JpegImageFile):
                scale = jpeg_scale(factor)
                image.draft(mode, (image.width // scale, image.height // scale))
                factor //= scale
            image.load()
            image = flatten(image, factor, mode=mode, background=background)
            if header.orientation in _UPRIGHT:
                image = image.transpose(_UPRIGHT[header.orientation])
    except PermanentError as error:
        error.image = info
        raise
    return DecodedImage(image, info)


def reduction(header: Header, needed: Needed) -> int:
    """How many times the stored image may be shrunk in both axes: the result stays twice the needed size."""
    width, height = header.info.width, header.info.height
    needed_width, needed_height = needed(width, height)
    return max(1, min(width // (_OVERSAMPLING * needed_width), height // (_OVERSAMPLING * needed_height)))


def jpeg_scale(factor: int) -> int:
    """How much of a reduction a JPEG decoder does itself, where it costs nothing: 8, 4, 2 or 1."""
    return next((scale for scale in _JPEG_SCALES if scale <= factor), 1)
