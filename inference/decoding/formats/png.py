"""PNG: chunks with a length and a name."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from inference.decoding.formats.chunk_limit import printable, truncated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.decoding.formats.chunk_limit import Pieces


def walk_png(content: bytes, pieces: Pieces) -> int:
    """Count the frames of an animation; every chunk must be there, up to and with ``IEND``."""
    frames = 1
    for kind, start, length in png_chunks(content):
        pieces.count()
        if kind == b"acTL":
            (frames,) = struct.unpack_from(">I", content, start)
        if start + length + 4 > len(content):
            raise truncated(content, f"a {printable(kind)} chunk of {length:,} bytes is incomplete")
    return frames


def png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start of the body and length of every chunk, up to and with ``IEND``."""
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, at + 8, length
        at += 12 + length
