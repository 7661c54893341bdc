"""AVIF: AV1 streams in ISO BMFF boxes.

libavif decodes an AV1 stream at the size that the stream states, and scales the result to the size in the box. So the
stream decides what a decode costs: ``tests/inference/decoding/formats/test_avif_heif.py`` shows it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from PIL import AvifImagePlugin

from inference.decoding.formats.chunk_limit import ChunkLimit
from inference.decoding.formats.image_format import Header, ImageFormat
from inference.decoding.formats.isobmff.av1 import CodedSize, read_coded_size
from inference.decoding.formats.isobmff.boxes import check_boxes
from inference.decoding.formats.isobmff.items import coded_layers
from inference.decoding.memory_cost import DecoderMemory
from inference.errors import PermanentError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from inference.limits import Limits

_PIXEL_BYTES = 12
_DEEP_PIXEL_BYTES = 17  # 10 or 12 bits: two bytes for each of up to four samples

# The entry of an EXIF block (ISO/IEC 14496-12): name, version 2 or 3, flags, identifier, protection, type.
_EXIF_ITEM = re.compile(rb"(?s)(infe(?:\x02...|\x03.....)....)Exif")


class Avif(ImageFormat):
    """AVIF; the first frame of a sequence."""

    name = "avif"
    reader = AvifImagePlugin.AvifImageFile
    can_state_any_size = True

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that the boxes are whole; ``describe`` counts the frames."""
        check_boxes(content, chunks)
        return 1

    def open(self, content: bytes) -> ImageFile:
        """Open the content; libavif refuses a file for its EXIF block, and then reads it without the block."""
        try:
            return super().open(content)
        except PermanentError:
            without = re.sub(_EXIF_ITEM, rb"\1skip", content)
            if without == content:
                raise
            return super().open(without)

    def describe(self, image: ImageFile, content: bytes, frames: int, limits: Limits) -> Header:
        """Return the header of an opened image."""
        frames = max(frames, image.n_frames if isinstance(image, AvifImagePlugin.AvifImageFile) else 1)
        coded = coded_size(content, limits)
        pixel_bytes = _DEEP_PIXEL_BYTES if coded.is_deep else _PIXEL_BYTES
        return (
            super()
            .describe(image, content, frames, limits)
            ._replace(
                decoder_memory=DecoderMemory(pixel_bytes * max(image.width * image.height, coded.pixels)),
                coded_pixels=coded.pixels,
            )
        )


FORMAT = Avif()


def coded_size(content: bytes, limits: Limits) -> CodedSize:
    """Add up all tiles and frames of the colours or, where they are more, of the auxiliary images (alpha).

    Args:
        content: The whole file.
        limits: Bounds the boxes, items and units that are visited.

    Raises:
        PermanentError: ``corrupt``: the items lie outside of the file; ``too_many_frames``: there are too many of them.
    """
    chunks = ChunkLimit(limits.max_chunks)
    layers = [[read_coded_size(item.stream, chunks) for item in layer] for layer in coded_layers(content, chunks)]
    pixels = max((sum(size.pixels for size in layer) for layer in layers), default=0)
    return CodedSize(pixels, any(size.is_deep for layer in layers for size in layer))
