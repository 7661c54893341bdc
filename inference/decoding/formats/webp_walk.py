"""WebP: RIFF chunks."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from inference.decoding.formats.chunk_limit import truncated

if TYPE_CHECKING:
    from inference.decoding.formats.chunk_limit import Pieces


def walk_webp(content: bytes, pieces: Pieces) -> int:
    """Count the frames; the file must be as long as its header promises."""
    (size,) = struct.unpack_from("<I", content, 4)
    if size + 8 > len(content):
        raise truncated(content, f"its header promises {size + 8:,}")
    at = 12
    frames = 0
    while at + 8 <= min(size + 8, len(content)):
        pieces.count()
        kind, length = struct.unpack_from("<4sI", content, at)
        frames += kind == b"ANMF"
        at += 8 + length + (length & 1)
    return max(frames, 1)
