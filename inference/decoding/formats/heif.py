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
from inference.decoding.formats.isobmff.boxes import boxes, find_cut_box
from inference.decoding.formats.isobmff.codecs import refuse_other_codecs
from inference.decoding.formats.isobmff.items import check_whole, read_container
from inference.decoding.formats.refusals import corrupt, unsupported
from inference.decoding.memory_cost import DecoderMemory
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from inference.limits import Limits

_HEVC = frozenset({b"hvc1", b"hev1"})
_PIXEL_BYTES = 9  # planes, an interleaved copy and the image


class Heif(ImageFormat):
    """HEIC and HEIF; the primary image."""

    name = "heif"
    reader_is_upright = True
    can_state_any_size = True

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that there is a still picture, that it is coded in HEVC, and that all of it is in the file."""
        container = read_container(content, chunks)
        if container.primary:
            refuse_other_codecs(container.primary.colours, _HEVC)
        check_whole(content, container, chunks)
        if not container.primary:
            refuse_other_codecs(container.first_samples, _HEVC, is_sequence=True)
            if container.first_samples:
                raise unsupported("a HEIF image sequence without a still picture")
            raise corrupt("it names no picture")
        aperture = container.primary.clean_aperture
        if aperture and not aperture.is_inside(
            container.primary.size
        ):  # libheif would state a size that it does not give
            raise corrupt("the part of its picture to show reaches outside of the picture")
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
            image: ImageFile = HeifImageFile(BytesIO(_without_sequences(content)))
            return image

    def read_color_profile(self, content: bytes) -> str | None:
        """Return the name of the profile of the primary picture."""
        picture = read_container(content, ChunkLimit(len(content))).primary
        return picture.color_profile if picture else None

    def describe(self, image: ImageFile, content: bytes, frames: int, limits: Limits) -> Header:
        """Return the header of an opened image."""
        layers = read_container(content, ChunkLimit(limits.max_chunks)).layers
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


def _without_sequences(content: bytes) -> bytes:
    """Return the file with its tracks (``moov``) declared as free space: the still picture needs none of them."""
    for box in boxes(content, 0, len(content), ChunkLimit(len(content))):
        if box.kind == b"moov":
            at = content.rindex(b"moov", 0, box.start)
            return content[:at] + b"free" + content[at + 4 :]
    cut = find_cut_box(content, ChunkLimit(len(content)))
    return content[: len(content) + cut.missing - cut.size] if cut and cut.kind == b"moov" else content
