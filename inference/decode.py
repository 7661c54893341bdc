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

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import ExifTags, Image, JpegImagePlugin

from inference.codecs import IMAGE_FAULTS, decoder_errors, open_image
from inference.errors import PermanentError, Reason
from inference.formats import sniff
from inference.pixels import WHITE, Mode, flatten
from inference.predictions import ImageInfo
from inference.structure import check_structure

if TYPE_CHECKING:
    from inference.limits import Limits

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
_SWAPS_AXES = 5
_SELF_ROTATING = frozenset({"heif", "tiff"})  # their readers deliver upright pixels


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says, before any pixel exists.

    Attributes:
        info: The upright size and the format's name.
        orientation: EXIF orientation 1..8 that is still to be applied to the stored pixels.
        mode: Pillow's mode of the stored pixels, such as ``RGB``, ``P``, ``I;16`` or ``CMYK``.
        frames: Frames or pages in the file; only the first is decoded.
        progressive: A JPEG whose coefficients must all be held before the first pixel appears.
        samples: Samples per pixel as stored: 1.5 for 4:2:0 JPEG, 3.0 for 4:4:4, else the mode's channels.
    """

    info: ImageInfo
    orientation: int
    mode: str
    frames: int
    progressive: bool
    samples: float

    @property
    def pixels(self) -> int:
        """Stored pixels of the first frame."""
        return self.info.width * self.info.height


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright picture in the mode that was asked for, at least twice the needed size, and what the original was."""

    image: Image.Image
    info: ImageInfo


def read_header(content: bytes, limits: Limits) -> Header:
    """Read what the header says and refuse what cannot or must not be decoded.

    Raises:
        PermanentError: Any reason but those that only pixels reveal; ``error.image`` is set where the size is known.
    """
    if len(content) > limits.max_bytes:
        raise PermanentError(
            Reason.TOO_MANY_BYTES, f"The file has {len(content):,} bytes; the limit is {limits.max_bytes:,}."
        )
    kind = sniff(content)
    if kind == "webp":
        _check_pixels(ImageInfo(*_webp_size(content), kind), limits)  # Pillow makes the canvas when it opens one
    frames = check_structure(kind, content, limits)
    image = open_image(kind, content)
    orientation = _orientation(image) if kind not in _SELF_ROTATING else 1
    width, height = image.size
    if orientation >= _SWAPS_AXES:
        width, height = height, width
    info = ImageInfo(width, height, kind)
    _check_pixels(info, limits)
    if image.mode == "F":
        raise PermanentError(
            Reason.UNSUPPORTED_FORMAT,
            "The content is a TIFF of floating-point samples, which have no agreed white.",
            info,
        )
    return Header(
        info=info,
        orientation=orientation,
        mode=image.mode,
        frames=frames,
        progressive="progressive" in image.info,
        samples=_samples(image),
    )


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
                scale = next((scale for scale in _JPEG_SCALES if scale <= factor), 1)
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


def _check_pixels(info: ImageInfo, limits: Limits) -> None:
    if info.width * info.height > limits.max_pixels:
        raise PermanentError(
            Reason.TOO_MANY_PIXELS,
            f"The image has {info.width:,} x {info.height:,} = {info.width * info.height:,} pixels;"
            f" the limit is {limits.max_pixels:,}.",
            info,
        )


def _orientation(image: Image.Image) -> int:
    """Read the EXIF orientation; a broken or odd one counts as upright, as every viewer does."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except IMAGE_FAULTS:
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def _samples(image: Image.Image) -> float:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        widest = max((h * v for _, h, v, _ in image.layer), default=1) or 1
        return sum(h * v for _, h, v, _ in image.layer) / widest
    return float(len(image.getbands()))


def _webp_size(content: bytes) -> tuple[int, int]:
    """Read the canvas size from a WebP's first chunk (RFC 9649, sections 2.5 to 2.7)."""
    kind = content[12:16]
    try:
        if kind == b"VP8X":
            low, high = struct.unpack_from("<IH", content, 24)
            bits = low | high << 32
            return (bits & 0xFFFFFF) + 1, (bits >> 24) + 1
        if kind == b"VP8L":
            (bits,) = struct.unpack_from("<I", content, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        width, height = struct.unpack_from("<HH", content, 26)
    except struct.error as error:
        raise PermanentError(
            Reason.TRUNCATED, f"The file ends inside its header, after {len(content)} bytes."
        ) from error
    return width & 0x3FFF, height & 0x3FFF
