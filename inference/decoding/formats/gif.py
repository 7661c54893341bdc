"""GIF: blocks of sub-blocks; its decoder takes what is missing for black."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.decoding.formats.chunk_limit import corrupt

if TYPE_CHECKING:
    from inference.decoding.formats.chunk_limit import Pieces


def walk_gif(content: bytes, pieces: Pieces) -> int:
    """Count the frames, block by block, up to the trailer."""
    flags = content[10]
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    frames = 0
    while True:
        pieces.count()
        block = content[at]
        if block == 0x3B:
            break
        if block == 0x2C:
            frames += 1
            flags = content[at + 9]
            at += 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
        elif block == 0x21:
            at += 2
        elif block == 0:
            at += 1
            continue
        else:
            raise corrupt(f"byte {at:,} begins no GIF block")
        while content[at]:
            at += 1 + content[at]
        at += 1
    if frames == 0:
        raise corrupt("it holds no picture")
    return frames
