"""GIF: blocks of sub-blocks (GIF89a). Pillow's reader fills missing data with black."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import GifImagePlugin

from inference.decoding.formats.image_format import ImageFormat
from inference.decoding.formats.refusals import corrupt

if TYPE_CHECKING:
    from inference.decoding.formats.chunk_limit import ChunkLimit

_TRAILER, _IMAGE, _EXTENSION, _PADDING = 0x3B, 0x2C, 0x21, 0x00


class Gif(ImageFormat):
    """GIF; the first frame of an animation."""

    name = "gif"
    reader = GifImagePlugin.GifImageFile
    images_in_memory = 2

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that every block is there, up to the trailer, and return the number of frames."""
        at = 13 + _color_table_bytes(content[10])
        frames = 0
        while True:
            chunks.count()
            block = content[at]
            if block == _TRAILER:
                break
            if block == _IMAGE:
                frames += 1
                at += 11 + _color_table_bytes(content[at + 9])
            elif block == _EXTENSION:
                at += 2
            elif block == _PADDING:
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


FORMAT = Gif()


def _color_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
