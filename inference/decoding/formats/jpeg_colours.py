"""Finds colours that no picture has in a JPEG that libjpeg decodes without a remark.

Brightness and colour of each block are coded as a difference to the block before it (T.81, F.1.1.5.1). Where a lost
cluster is replaced by as many blocks of another picture, libjpeg finds its place again without a remark, and everything
behind it is brighter or darker, and tinted. A JPEG is coded in Y, Cb and Cr, and three quarters of their values are no
colour: they lie outside of red, green and blue of 0..255. The average of colours is a colour, so the average of a coded
unit never lies far outside in a whole picture, and does in many units behind such an offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference.decoding.formats.jpeg_pixels import decode_pixels
from inference.decoding.formats.jpeg_segments import ADOBE, JFIF

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.decoding.formats.jpeg_segments import Segments

_NO_CONVERSION = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"  # an Adobe segment: the components are RGB
_QUANTISATION = 0xDB
_RGB_IDENTIFIERS = b"RGB"
_SCALE = 8  # one pixel of Y is the average of a block

# Of 716 whole pictures none had a unit more than 20 levels outside, and one camera writes units up to 16 outside.
# Coarse quantisation moves the average: by half a step of the DC coefficient, which is eight times the average.
_OUTSIDE_LEVELS = 20
_OUTSIDE_LEVELS_PER_STEP = (1 + 1.772) / 16
_OUTSIDE_UNITS = 0.002  # part of all units


def first_impossible_row(content: bytes | bytearray, segments: Segments) -> int | None:
    """Return the first stored row from which many units have colours that do not exist.

    Without such units it is ``None``, and for a picture that is not coded in Y, Cb and Cr.
    """
    if not _is_ycbcr(content, segments):
        return None
    stream = bytearray(b"\xff\xd8") + _NO_CONVERSION
    for start, end in segments.needed:
        if content[start + 1] not in {JFIF, ADOBE}:
            stream += content[start:end]
    stream += content[segments.scan :]
    coded, _ = decode_pixels(stream, (segments.width, segments.height), "RGB", _SCALE)
    limit = _OUTSIDE_LEVELS + _OUTSIDE_LEVELS_PER_STEP * _coarsest_dc(content, segments)
    is_outside = _excess(coded, *segments.largest_sampling) > limit
    if not is_outside.size or is_outside.mean() < _OUTSIDE_UNITS:
        return None
    row = int(is_outside.any(axis=1).argmax())
    return row * _SCALE * segments.largest_sampling[1]


def _is_ycbcr(content: bytes | bytearray, segments: Segments) -> bool:
    """Return whether libjpeg takes the components for Y, Cb and Cr."""
    if len(segments.sampling) != 3:
        return False
    codes = {content[start + 1]: start for start, _ in segments.needed}
    if JFIF in codes:
        return True
    if ADOBE in codes:
        return content[codes[ADOBE] + 15] != 0
    frame = codes[segments.frame]
    return bytes(content[frame + 10 : frame + 19 : 3]) != _RGB_IDENTIFIERS


def _coarsest_dc(content: bytes | bytearray, segments: Segments) -> int:
    """Return the largest quantiser of a DC coefficient (T.81, B.2.4.1)."""
    coarsest = 1
    for start, end in segments.needed:
        at = start + 4
        while content[start + 1] == _QUANTISATION and at + 3 <= end:
            width = 1 + (content[at] >> 4 > 0)  # bytes of each of the 64 values
            coarsest = max(coarsest, int.from_bytes(content[at + 1 : at + 1 + width], "big"))
            at += 1 + 64 * width
    return coarsest


def _excess(coded: NDArray[np.uint8], across: int, down: int) -> NDArray[np.float32]:
    """Return by how many levels the average of each coded unit lies outside of 0..255 in red, green or blue.

    Args:
        coded: Y, Cb and Cr of each block, (height, width, 3).
        across: Blocks of Y across in one coded unit.
        down: Blocks of Y down in one coded unit.
    """
    height, width = coded.shape[0] // down, coded.shape[1] // across
    blocks = coded[: height * down, : width * across].reshape(height, down, width, across, 3)
    y, cb, cr = np.moveaxis(blocks.mean(axis=(1, 3), dtype=np.float32), 2, 0)
    # ITU-T T.871, section 7
    cb, cr = cb - 128, cr - 128
    colours = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb])
    excess: NDArray[np.float32] = np.maximum(colours.max(axis=0) - 255, -colours.min(axis=0))
    return excess
