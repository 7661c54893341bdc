"""BMP: it has no parts to count, and one compression whose decoder is slow."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from PIL import BmpImagePlugin

from inference.decoding.formats.image_format import Header, ImageFormat
from inference.decoding.memory_cost import DecoderMemory
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.limits import Limits

_COMPRESSION_AT = 30  # in the file, with every header of 40 bytes and more
_RUN_LENGTHS = frozenset({1, 2})  # BI_RLE8, BI_RLE4
_MAX_RUN_LENGTH_BYTES = 16 * 1024 * 1024  # Pillow unpacks them in Python, 7 MB a second, and blocks all other threads
_PIXEL_BYTES = 4  # of every mode, because of run lengths


class Bmp(ImageFormat):
    """Windows bitmaps."""

    name = "bmp"
    reader = BmpImagePlugin.BmpImageFile

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Refuse run lengths by the dozen megabytes; the decoder notices a file that is too short."""
        chunks.count()
        short = len(content) < _COMPRESSION_AT + 4 or content[14] < 40
        compression = 0 if short else struct.unpack_from("<I", content, _COMPRESSION_AT)[0]
        if compression in _RUN_LENGTHS and len(content) > _MAX_RUN_LENGTH_BYTES:
            detail = (
                f"The file has {len(content):,} bytes of run lengths; the limit for those is {_MAX_RUN_LENGTH_BYTES:,}."
            )
            raise PermanentError(Reason.TOO_MANY_BYTES, detail)
        return 1

    def describe(self, image: ImageFile, content: bytes, frames: int, limits: Limits) -> Header:
        """Return the header of an opened image."""
        memory = DecoderMemory(_PIXEL_BYTES * image.width * image.height)
        return super().describe(image, content, frames, limits)._replace(decoder_memory=memory)


FORMAT = Bmp()
