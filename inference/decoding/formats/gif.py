"""GIF: blocks of sub-blocks (GIF89a).

Pillow's reader notices a missing pixel only where the file ends. In front of more bytes, it reads on in the next block
and shows that as pixels. So it gets the file up to the end of the first frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import GifImagePlugin

from inference.decoding.formats.image_format import Header, ImageFormat
from inference.decoding.formats.refusals import corrupt, truncated

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.decoding.partial import Part
    from inference.decoding.pixels import Mode
    from inference.limits import Limits

_TRAILER, _IMAGE, _EXTENSION, _PADDING = 0x3B, 0x2C, 0x21, 0x00


class Gif(ImageFormat):
    """GIF; the first frame of an animation."""

    name = "gif"
    reader = GifImagePlugin.GifImageFile

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that a first frame begins, and return the number of frames, of which later ones may be cut or broken.

        Only decoding shows whether the first frame is whole.
        """
        at = 13 + _color_table_bytes(content[10])
        frames = 0
        while at < len(content) or not frames:
            chunks.count()
            block = content[at]
            if block == _TRAILER:
                break
            if block == _IMAGE:
                if not frames and at + 11 + _color_table_bytes(content[at + 9]) >= len(content):
                    raise truncated(content, "it holds no pixels")
                frames += 1
            elif block not in {_EXTENSION, _PADDING}:
                if frames:
                    break
                raise corrupt(f"byte {at:,} begins no GIF block")
            at = _end_of_block(content, at)
        if frames == 0:
            raise corrupt("it holds no picture")
        return frames

    def describe(self, image: ImageFile, content: bytes, frames: int, limits: Limits) -> Header:
        """Return the header of an opened image; its reader keeps a copy of the bytes of the first frame."""
        header = super().describe(image, content, frames, limits)
        memory, copied = header.decoder_memory, _end_of_first_frame(content)
        return header._replace(decoder_memory=memory._replace(peak=memory.peak + copied, held=memory.held + copied))

    def decode(self, content: bytes, mode: Mode, scale: int) -> Image.Image:
        """Decode the first frame, of which only the end may be cut."""
        return super().decode(_first_frame(content), mode, scale)

    def decode_part(self, content: bytes) -> Part | None:
        """Decode the rows of the first frame that are there."""
        return super().decode_part(_first_frame(content))


FORMAT = Gif()


def _color_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _end_of_block(content: bytes, at: int) -> int:
    """Return the offset behind a block, which may be behind the end of a cut file."""
    if content[at] == _PADDING:
        return at + 1
    if content[at] == _IMAGE:
        at += 11 + (_color_table_bytes(content[at + 9]) if at + 9 < len(content) else 0)
    else:
        at += 2
    while at < len(content) and content[at]:
        at += 1 + content[at]
    return at + 1


def _end_of_first_frame(content: bytes) -> int:
    at = 13 + _color_table_bytes(content[10])
    while content[at] != _IMAGE:
        at = _end_of_block(content, at)
    return min(_end_of_block(content, at), len(content))


def _first_frame(content: bytes) -> bytes:
    """Return the file up to the end of its first frame; a cut sub-block states the length of its rest."""
    at = 13 + _color_table_bytes(content[10])
    while content[at] != _IMAGE:
        at = _end_of_block(content, at)
    if (end := _end_of_block(content, at)) <= len(content):
        return content[:end]
    at += 11 + _color_table_bytes(content[at + 9])
    while at + 1 + content[at] < len(content):
        at += 1 + content[at]
    return content[:at] + bytes([len(content) - at - 1]) + content[at + 1 :]
