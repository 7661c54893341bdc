"""HEIC and HEIF: HEVC streams in ISO BMFF boxes, read by pillow-heif, which is never registered with Pillow.

libheif refuses a HEVC stream that is larger than its box states before it decodes it. So the boxes of all tiles, added
up, decide what a decode costs, not the box of the picture: ``tests/inference/decoding/formats/test_avif_heif.py``.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from inference.decoding.decoder_errors import decoder_errors
from inference.decoding.formats.chunk_limit import ChunkLimit
from inference.decoding.formats.image_format import Header, ImageFormat
from inference.decoding.formats.isobmff.boxes import check_boxes
from inference.decoding.formats.isobmff.items import coded_layers
from inference.decoding.memory_cost import DecoderMemory
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from inference.limits import Limits

_PIXEL_BYTES = 9  # planes, an interleaved copy and the image


class Heif(ImageFormat):
    """HEIC and HEIF; the primary image."""

    name = "heif"
    reader_is_upright = True
    can_state_any_size = True

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that the boxes are whole."""
        check_boxes(content, chunks)
        return 1

    def open(self, content: bytes) -> ImageFile:
        """Open the content with pillow-heif.

        Raises:
            PermanentError: ``unsupported_format`` where pillow-heif is not installed, or it cannot read the header.
        """
        try:
            from pillow_heif.as_plugin import HeifImageFile
        except ImportError as error:
            raise PermanentError(
                Reason.UNSUPPORTED_FORMAT,
                "The content is a HEIC/HEIF image, and pillow-heif, its decoder, is not installed.",
            ) from error
        with decoder_errors(self.name):
            image: ImageFile = HeifImageFile(BytesIO(content))
            return image

    def describe(self, image: ImageFile, content: bytes, frames: int, limits: Limits) -> Header:
        """Return the header of an opened image."""
        layers = coded_layers(content, ChunkLimit(limits.max_chunks))
        coded_pixels = max((sum(item.stated_pixels for item in layer) for layer in layers), default=0)
        return (
            super()
            .describe(image, content, frames, limits)
            ._replace(
                decoder_memory=DecoderMemory(_PIXEL_BYTES * max(image.width * image.height, coded_pixels)),
                coded_pixels=coded_pixels,
            )
        )


FORMAT = Heif()
