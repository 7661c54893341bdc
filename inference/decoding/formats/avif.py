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
from inference.decoding.formats.isobmff.boxes import find_cut_box
from inference.decoding.formats.isobmff.codecs import refuse_other_codecs
from inference.decoding.formats.isobmff.items import check_whole, read_container
from inference.decoding.memory_cost import DecoderMemory, image_bytes
from inference.errors import PermanentError
from inference.predictions import ImageInfo

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

    from inference.decoding.formats.isobmff.items import Container
    from inference.decoding.pixels import Mode
    from inference.limits import Limits

_AV1 = frozenset({b"av01"})
_MAX_PADDING_BYTES = 32 * 1024 * 1024  # of later frames that are missing
_THREADS_BYTES = 4 * 1024 * 1024  # in the heaps of dav1d's threads
_SAMPLE_FACTOR = 1.35  # dav1d keeps more than a frame's samples: vectors, filter levels, rows of borders

# The entry of an EXIF block (ISO/IEC 14496-12): name, version 2 or 3, flags, identifier, protection, type.
_EXIF_ITEM = re.compile(rb"(?s)(infe(?:\x02...|\x03.....)....)Exif")


class Avif(ImageFormat):
    """AVIF; the first frame of a sequence."""

    name = "avif"
    reader = AvifImagePlugin.AvifImageFile
    can_state_any_size = True

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that the picture is coded in AV1 and whole; ``describe`` counts the frames.

        Raises:
            PermanentError: ``truncated``, ``corrupt``, ``unsupported_format``.
        """
        container = read_container(content, chunks)
        is_sequence = _is_sequence(content, container)
        if container.primary and not is_sequence:
            refuse_other_codecs(container.primary.colours, _AV1)
        check_whole(content, container, chunks, is_sequence=is_sequence)
        cut = find_cut_box(content, chunks)
        if cut and cut.missing > _MAX_PADDING_BYTES:
            raise cut.refusal(content)
        return 1

    def open(self, content: bytes) -> ImageFile:
        """Open the content, of which the end may be missing.

        libavif refuses a file of which any frame is missing; zeros stand in for it. It also refuses a file for its EXIF
        block, and then reads it without the block.
        """
        if cut := find_cut_box(content, ChunkLimit(len(content))):
            content += bytes(cut.missing)
        try:
            return super().open(content)
        except PermanentError:
            without = re.sub(_EXIF_ITEM, rb"\1skip", content)
            if without == content:
                raise
            return super().open(without)

    def read_color_profile(self, content: bytes) -> str | None:
        """Return the name of the profile of the primary picture."""
        picture = read_container(content, ChunkLimit(len(content))).primary
        return picture.color_profile if picture else None

    def describe(self, image: ImageFile, content: bytes, frames: int, limits: Limits) -> Header:
        """Return the header of an opened image."""
        frames = max(frames, image.n_frames if isinstance(image, AvifImagePlugin.AvifImageFile) else 1)
        coded = coded_size(content, limits)
        header = super().describe(image, content, frames, limits)
        left, top, right, bottom = box = _crop_box(content, image.size)
        cut = find_cut_box(content, ChunkLimit(limits.max_chunks))
        completed = len(content) + cut.missing if cut else 0
        delivered, pixels = header.decoder_memory.held, image.width * image.height
        copied = len(image.getbands()) * pixels
        cropped = image_bytes(right - left, bottom - top) if box != (0, 0, *image.size) else 0.0
        memory = DecoderMemory(
            peak=_SAMPLE_FACTOR * coded.sample_bytes + _THREADS_BYTES + copied + delivered + completed,
            delivery=copied + delivered + cropped,
            held=cropped or copied + delivered,
        )
        return header._replace(
            info=ImageInfo(*header.orientation.swap((right - left, bottom - top)), self.name),
            decoder_memory=memory,
            coded_pixels=coded.pixels,
        )

    def decode(self, content: bytes, mode: Mode, scale: int) -> Image.Image:
        """Decode the first frame and cut out the part to show (``clap``), which comes before any turning."""
        image = super().decode(content, mode, scale)
        box = _crop_box(content, image.size)
        return image if box == (0, 0, *image.size) else image.crop(box)


FORMAT = Avif()


def _is_sequence(content: bytes, container: Container) -> bool:
    """Whether libavif decodes the tracks: it does where the file says so first, and has any."""
    return content[8:12] == b"avis" and bool(container.first_samples)


def _crop_box(content: bytes, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the part of the picture to show: left, top, right, bottom. libavif leaves it to its caller."""
    container = read_container(content, ChunkLimit(len(content)))
    whole = (0, 0, *size)
    if _is_sequence(content, container) or not container.primary or not container.primary.clean_aperture:
        return whole
    return container.primary.clean_aperture.crop_box(size) or whole


def coded_size(content: bytes, limits: Limits) -> CodedSize:
    """Add up all tiles and frames: the pixels of the colours or, where they are more, of the auxiliary images (alpha).

    The bytes are those of the samples of both, because a decoder holds both, of the primary picture or of the tracks.

    Args:
        content: The whole file.
        limits: Bounds the boxes, items and units that are visited.

    Raises:
        PermanentError: ``corrupt``: the items lie outside of the file; ``too_many_frames``: there are too many of them.
    """
    chunks = ChunkLimit(limits.max_chunks)
    container = read_container(content, chunks)
    layers = [[read_coded_size(item.stream, chunks) for item in layer] for layer in container.layers]
    pixels = max((sum(size.pixels for size in layer) for layer in layers), default=0)
    layer_bytes = [sum(size.sample_bytes for size in layer) for layer in layers]
    tracks = len(container.first_samples)
    still, samples = layer_bytes[: len(layers) - tracks], layer_bytes[len(layers) - tracks :]
    return CodedSize(pixels, max(sum(still), sum(samples)))
