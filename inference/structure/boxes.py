"""AVIF, HEIF and JPEG 2000: boxes with a length and a name."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from inference.structure.pieces import printable, truncated

if TYPE_CHECKING:
    from inference.structure.pieces import Pieces

_OURS = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"jP  ", b"jp2h", b"jp2c"})  # cut, these miss something


def walk_boxes(content: bytes, pieces: Pieces) -> int:
    """Walk the top-level boxes that AVIF, HEIF and JP2 share; what somebody appended to them is no box."""
    if content[:2] == b"\xff\x4f":  # a bare JPEG 2000 codestream
        if content.rfind(b"\xff\xd9") < 0:
            raise truncated(content, "the end-of-codestream marker is missing")
        return 1
    at = 0
    while at < len(content):
        pieces.count()
        if at and at + 8 > len(content):
            break
        size, kind = struct.unpack_from(">I4s", content, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, at + 8)
        elif size == 0:
            break
        if size < 8:
            break  # padding after the last box
        at += size
        if at > len(content) and kind in _OURS:
            raise truncated(content, f"a {printable(kind)} box of {size:,} bytes is incomplete")
    return 1
