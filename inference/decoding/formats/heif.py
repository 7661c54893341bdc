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

    from inference.decoding.formats.isobmff.items import CodedItem
    from inference.limits import Limits

_HEVC = frozenset({b"hvc1", b"hev1"})
_HALVED_BOTH_WAYS = 420
_THREADS = 4  # pillow-heif's default
_BLOCK_BYTES = 0.8  # of a pixel: what HEVC decoders keep of the blocks beside their samples
_THREADS_BYTES = 9 * 1024 * 1024  # in the heaps of libheif's threads; 0 to 20 MiB, by chance
_CHROMA_SAMPLES = {420: 0.5, 422: 1.0}  # of a pixel; 2 otherwise


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
        header = super().describe(image, content, frames, limits)
        at_once = max((_pixels_at_once(layer) for layer in layers), default=0)
        return header._replace(decoder_memory=_memory(image, header, at_once), coded_pixels=coded_pixels)


FORMAT = Heif()


def _without_sequences(content: bytes) -> bytes:
    """Return the file with its tracks (``moov``) declared as free space: the still picture needs none of them."""
    for box in boxes(content, 0, len(content), ChunkLimit(len(content))):
        if box.kind == b"moov":
            at = content.rindex(b"moov", 0, box.start)
            return content[:at] + b"free" + content[at + 4 :]
    cut = find_cut_box(content, ChunkLimit(len(content)))
    return content[: len(content) + cut.missing - cut.size] if cut and cut.kind == b"moov" else content


def _pixels_at_once(tiles: list[CodedItem]) -> int:
    """Return the pixels that are decoded at one moment: of the largest tiles, one in each of libheif's threads."""
    return sum(sorted(tile.stated_pixels for tile in tiles)[-_THREADS:])


def _memory(image: ImageFile, header: Header, pixels_at_once: int) -> DecoderMemory:
    """Return what libheif and pillow-heif take.

    The decoder of a tile has its planes, and libheif a copy of them and the planes of the picture. It brings their
    chroma to full size or, for 4:2:0, their depth to 8 bits in a second set of planes, and interleaves those to pixels.
    pillow-heif makes the image from the pixels when the planes are gone.
    """
    pixels = image.width * image.height
    deep = 2 if image.info.get("bit_depth", 8) > 8 else 1
    delivered = header.decoder_memory.held
    bands = len(image.getbands())
    is_grey = bands == 1
    interleaved = bands * (deep if is_grey else 1)
    chroma, alpha = image.info.get("chroma"), bands in {2, 4}
    stored = bands if is_grey else 1 + alpha + _CHROMA_SAMPLES.get(chroma or 0, 2.0)
    if is_grey:
        converted = 0.0
    elif chroma == _HALVED_BOTH_WAYS:
        converted = stored if deep > 1 else 0.0
    else:
        converted = float(bands * deep)
    planes = stored * deep * pixels
    decoding = (2 * stored * deep + _BLOCK_BYTES) * pixels_at_once + (planes if pixels_at_once < pixels else 0)
    joining = planes + (converted + interleaved + _BLOCK_BYTES) * pixels
    return DecoderMemory(
        peak=max(decoding, joining) + _THREADS_BYTES,
        delivery=(interleaved + _BLOCK_BYTES) * pixels + delivered + _THREADS_BYTES,
        held=delivered,
    )
