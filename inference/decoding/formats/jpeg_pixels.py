"""Decodes JPEG data with libjpeg-turbo through ``simplejpeg``, and reports what libjpeg remarks.

libjpeg decodes damaged data to the end and only counts warnings. ``simplejpeg`` raises the first of them, after all
rows are in the buffer that it was given: so one call delivers the pixels and the remark.
"""

from __future__ import annotations

import re
from enum import Enum
from io import BytesIO
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import simplejpeg  # type: ignore[import-untyped]  # its stub has no py.typed marker

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

Colours = Literal["RGB", "GRAY", "CMYK"]

_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_CHANNELS = {"RGB": 3, "GRAY": 1, "CMYK": 4}


class RemarkKind(Enum):
    """What libjpeg remarks; the value is the beginning of its sentence, or a part of it."""

    ENDS_EARLY = "premature end of data segment"
    EXTRANEOUS = "extraneous bytes before marker"
    BAD_CODE = "bad Huffman code"
    LOST_RESTART = "instead of RST"
    OTHER_WARNING = "Inconsistent progression sequence"
    UNUSUAL_SAMPLING = "Could not determine subsampling"
    FATAL = ""


class Remark(NamedTuple):
    """The first remark about one stream.

    Attributes:
        kind: The kind of remark; ``FATAL`` is an error, after which the rows may be missing. ``UNUSUAL_SAMPLING`` is
            the interface's, not libjpeg's: no row was decoded.
        extraneous: The number of extraneous bytes.
        marker: The code of the marker behind them.
    """

    kind: RemarkKind
    extraneous: int = 0
    marker: int = 0


def decode_pixels(
    content: bytes | bytearray, size: tuple[int, int], colours: Colours, scale: int
) -> tuple[NDArray[np.uint8], Remark | None]:
    """Decode a stream, divided by ``scale`` in both axes.

    Args:
        content: The stream; read without a copy.
        size: The stated (width, height).
        colours: ``CMYK`` only for a picture of four components, whose inks are returned as they are coded.
        scale: 1, 2, 4 or 8.

    Returns:
        Pixels (height, width, channels), each axis rounded up, and the first remark; ``None`` without any. Rows that
        were not decoded are zeros.

    Raises:
        MemoryError: Memory ran out.
    """
    width, height = -(-size[0] // scale), -(-size[1] // scale)
    pixels = np.zeros((height, width, _CHANNELS[colours]), np.uint8)
    try:
        simplejpeg.decode_jpeg(content, colours, min_height=height, min_width=width, buffer=pixels)
    except ValueError as error:
        return pixels, _remark(str(error))
    return pixels, None


def decode_unusual_sampling(content: bytes, scale: int) -> Image.Image:
    """Decode a picture by Pillow, for sampling factors that libjpeg decodes and ``simplejpeg`` does not.

    Pillow hides all remarks, so only a file that ends without an end marker is noticed.

    Args:
        content: A file of three components.
        scale: 1, 2, 4 or 8.

    Raises:
        OSError: The file is truncated.
    """
    from PIL.JpegImagePlugin import JpegImageFile  # hardly any photo needs it

    image = JpegImageFile(BytesIO(content))
    image.draft("RGB", (max(1, image.width // scale), max(1, image.height // scale)))
    return image.convert("RGB")


def _remark(text: str) -> Remark:
    if "memory" in text.lower():
        raise MemoryError(text)
    if found := _EXTRANEOUS.search(text):
        return Remark(RemarkKind.EXTRANEOUS, int(found[1]), int(found[2], 16))
    if "marker 0xd9 instead of RST" in text:
        return Remark(RemarkKind.ENDS_EARLY)
    return Remark(next(kind for kind in RemarkKind if kind.value in text))
