"""JPEGs that end properly and yet lack a part of their picture.

A camera that loses power, or a program that "repairs" a cut file, closes it with an end-of-image marker. libjpeg then
repeats the last colour to the bottom and only counts a warning, which Pillow does not show. Such a picture has a flat
last row; few photos have one. For those an experiment decides: with other bytes put before the end marker, a whole
picture decodes to the same pixels, and one that lacks data takes them for its own. (A progressive file that was cut
after its first scan is whole but less sharp, and passes.)
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from PIL import Image, ImageChops

from inference.decoding.formats.jpeg import first_scan
from inference.decoding.readers import open_image
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from inference.decoding.pixels import Mode

_END = b"\xff\xd9"
_PADDING = random.Random(0).randbytes(1024).replace(b"\xff", b"\x55")  # noqa: S311  # any bytes but a marker


def refuse_gaps(content: bytes, image: Image.Image, mode: Mode, scale: int) -> None:
    """Raise if ``image``, decoded from ``content`` at ``1/scale``, was filled up by the decoder.

    Raises:
        PermanentError: ``truncated``.
    """
    extrema = image.crop((0, image.height - 1, image.width, image.height)).getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    if any(low != high for low, high in bands):
        return
    end = content.find(_END, first_scan(content).start)
    probe = open_image("jpeg", content[:end] + _PADDING + content[end:])
    probe.draft(mode, (probe.width // scale, probe.height // scale))
    if ImageChops.difference(image, probe).getbbox(alpha_only=False):
        detail = f"The file ends properly after {len(content):,} bytes, but a part of its picture is missing."
        raise PermanentError(Reason.TRUNCATED, detail)
