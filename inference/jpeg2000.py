"""What has to be known of a JPEG 2000 codestream before its decoder sees it: its tiles, and its chroma.

Field names in comments are those of ISO/IEC 15444-1, annex A.5.1 (``SIZ``).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from inference.errors import PermanentError, Reason

_CODESTREAM = b"\xff\x4f\xff\x51"  # SOC, then SIZ
_SIZES = struct.Struct(">8I")  # of the picture and its offset, then of a tile and its offset
_SIZES_AT = 8  # behind the two markers, the segment's length and the capabilities
_COMPONENT = struct.Struct(">BBB")  # Ssiz, XRsiz, YRsiz


class Codestream(NamedTuple):
    """The layout of a picture, in pixels of the reference grid."""

    left: int
    right: int
    tile_width: int
    tile_left: int
    tiles: int
    across: int  # pixels per sample: the most of all components


_UNKNOWN = Codestream(0, 1, 1, 0, 1, 1)  # nonsense, which the decoder refuses


def read_codestream(content: bytes) -> Codestream:
    """Read the layout of the first codestream."""
    try:
        at = _codestream_at(content) + _SIZES_AT
        right, bottom, left, _, width, height, tile_left, tile_top = _SIZES.unpack_from(content, at)
        at += _SIZES.size
        (components,) = struct.unpack_from(">H", content, at)
        each = [_COMPONENT.unpack_from(content, at + 2 + n * _COMPONENT.size) for n in range(components)]
    except struct.error:
        return _UNKNOWN
    if not (width and height and right > tile_left and bottom > tile_top):
        return _UNKNOWN
    tiles = -(-(right - tile_left) // width) * -(-(bottom - tile_top) // height)
    return Codestream(left, right, width, tile_left, tiles, max((across for _, across, _ in each), default=1))


def refuse_sheared_chroma(codestream: Codestream) -> None:
    """Refuse chroma at reduced resolution where a tile is no whole number of its samples wide.

    Pillow (13.0) takes the width of such a row for the smaller whole number, and the colours lean over. An odd height
    costs it the last row of chroma only.

    Raises:
        PermanentError: ``unsupported_format``.
    """
    edges = {codestream.left, codestream.right}
    first = codestream.tile_left + codestream.tile_width
    if first < codestream.right:
        edges |= {first, first + codestream.tile_width}
    if codestream.across > 1 and any(edge % codestream.across for edge in edges):
        raise PermanentError(
            Reason.UNSUPPORTED_FORMAT,
            f"The content is a JPEG 2000 picture of {codestream.right - codestream.left:,} columns with one sample of"
            f" colour for each {codestream.across}: its decoder mixes those up where they do not divide.",
        )


def _codestream_at(content: bytes) -> int:
    """Find where the codestream begins: at once, or in the first ``jp2c`` box."""
    at = 0
    while not content.startswith(_CODESTREAM, at):
        size, kind = struct.unpack_from(">I4s", content, at)
        header_bytes = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, at + 8)
            header_bytes = 16
        if kind == b"jp2c":
            return at + header_bytes
        at += max(size, header_bytes) if size else len(content)
    return at
