"""ICO: a table of small pictures."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from inference.decoding.formats.chunk_limit import truncated
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from inference.decoding.formats.chunk_limit import Pieces


_MAX_ICON_PIXELS = 1024 * 1024  # an icon is 256 x 256 by its format; 1024 is seen in the wild


def walk_ico(content: bytes, pieces: Pieces) -> int:
    """Check that every picture is in the file and none is larger than an icon can be."""
    (count,) = struct.unpack_from("<H", content, 4)
    for index in range(count):
        pieces.count()
        size, offset = struct.unpack_from("<II", content, 6 + 16 * index + 8)
        if offset + size > len(content):
            raise truncated(content, f"picture {index + 1} of {count} is incomplete")
        width, height = _claimed_size(content, offset)
        if width * height > _MAX_ICON_PIXELS:
            raise PermanentError(Reason.DECOMPRESSION_BOMB, f"An icon's picture claims {width:,} x {height:,} pixels.")
    return 1


def _claimed_size(content: bytes, offset: int) -> tuple[int, int]:
    """Read what the picture says of itself: it is a PNG, or a bitmap whose height counts its mask as well."""
    if content[offset : offset + 8] == b"\x89PNG\r\n\x1a\n":
        width, height = struct.unpack_from(">II", content, offset + 16)
        return width, height
    width, height = struct.unpack_from("<ii", content, offset + 4)
    return abs(width), abs(height) // 2
