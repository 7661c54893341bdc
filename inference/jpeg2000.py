"""How many tiles a JPEG 2000 picture is cut into: OpenJPEG keeps kilobytes for each, however small they are."""

from __future__ import annotations

import struct

_CODESTREAM = b"\xff\x4f\xff\x51"  # SOC, then SIZ (ISO/IEC 15444-1, annex A)
_SIZ_SIZES = struct.Struct(">8I")  # of the picture and its offset, then of a tile and its offset
_SIZ_SIZES_AT = 8  # behind the two markers, the segment's length and the capabilities


def tile_count(content: bytes) -> int:
    """Count the tiles of the first codestream; 1 where it says nonsense, which its decoder refuses."""
    try:
        at = _codestream_at(content) + _SIZ_SIZES_AT
        right, bottom, _, _, width, height, left, top = _SIZ_SIZES.unpack_from(content, at)
    except struct.error:
        return 1
    if not (width and height and right > left and bottom > top):
        return 1
    across, down = -(-(right - left) // width), -(-(bottom - top) // height)
    return int(across * down)


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
