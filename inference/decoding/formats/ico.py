"""ICO: a table of small pictures, each a PNG or a bitmap."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from PIL import IcoImagePlugin

from inference.decoding.formats.image_format import ImageFormat
from inference.decoding.formats.refusals import truncated
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from inference.decoding.formats.chunk_limit import ChunkLimit


_MAX_ICON_PIXELS = 1024 * 1024  # the format ends at 256 x 256; 1024 is seen in the wild


class Ico(ImageFormat):
    """Windows icons; the largest picture."""

    name = "ico"
    reader = IcoImagePlugin.IcoImageFile
    images_in_memory = 2

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that every picture is in the file and none is larger than an icon can be."""
        (count,) = struct.unpack_from("<H", content, 4)
        for index in range(count):
            chunks.count()
            size, offset = struct.unpack_from("<II", content, 6 + 16 * index + 8)
            if offset + size > len(content):
                raise truncated(content, f"picture {index + 1} of {count} is incomplete")
            width, height = _stated_size(content, offset)
            if width * height > _MAX_ICON_PIXELS:
                detail = f"A picture of the icon states {width:,} x {height:,} pixels."
                raise PermanentError(Reason.DECOMPRESSION_BOMB, detail)
        return 1


FORMAT = Ico()


def _stated_size(content: bytes, offset: int) -> tuple[int, int]:
    """Read the size of a PNG, or of a bitmap whose height counts its mask as well."""
    if content[offset : offset + 8] == b"\x89PNG\r\n\x1a\n":
        width, height = struct.unpack_from(">II", content, offset + 16)
        return width, height
    width, height = struct.unpack_from("<ii", content, offset + 4)
    return abs(width), abs(height) // 2
