"""AVIF, HEIF and JPEG 2000: boxes with a length and a name."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from inference.decoding.formats.chunk_limit import printable, truncated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.decoding.formats.chunk_limit import Pieces

_OURS = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"jP  ", b"jp2h", b"jp2c"})  # cut, these miss something


class Box(NamedTuple):
    """One box: its name, and where its body begins and ends."""

    kind: bytes
    start: int
    end: int


def boxes(content: bytes, start: int, end: int, pieces: Pieces) -> Iterator[Box]:
    """Yield the boxes between ``start`` and ``end``, up to the first that does not fit."""
    while start + 8 <= end:
        pieces.count()
        size, kind = struct.unpack_from(">I4s", content, start)
        body = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, body)
            body += 8
        stop = start + size if size else end
        if not body <= stop <= end:
            return
        yield Box(kind, body, stop)
        start = stop


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
