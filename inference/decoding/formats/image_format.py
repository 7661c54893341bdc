"""The interface of an image format, and the registry that loads a format's module with the first image of that format.

Most images are JPEG: a process that meets no other format imports neither the modules of the others nor their readers.
"""

from __future__ import annotations

import struct
import zlib
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple, cast

from inference.decoding.decoder_errors import decoder_errors
from inference.decoding.formats.chunk_limit import ChunkLimit
from inference.decoding.formats.refusals import corrupt, truncated
from inference.decoding.memory_cost import DecoderMemory, image_bytes
from inference.decoding.orientation import Orientation, read_orientation
from inference.decoding.partial import decode_part
from inference.errors import PermanentError, Reason
from inference.predictions import ImageInfo

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

    from inference.decoding.partial import Part
    from inference.decoding.pixels import Mode
    from inference.limits import Limits


class Header(NamedTuple):
    """The facts about an image that are known before any pixel is decoded.

    Attributes:
        info: The upright size and the format's name.
        orientation: The orientation that is still to be applied to the stored pixels.
        mode: Pillow's mode of the stored pixels, such as ``RGB``, ``P``, ``I;16`` or ``CMYK``.
        frames: Frames or pages in the file, at least 1; only the first is decoded.
        decoder_memory: The bytes that the decoder takes.
        decoder_scales: The numbers by which the decoder can divide both axes, largest first; empty where it cannot.
        coded_pixels: The pixels that an AVIF, a HEIC or a tile of a TIFF is decoded to, which the stated size does not
            bind; 0 in the other formats.
        refusal: The error of ``validate`` where a part of the picture may be decoded all the same.
        has_transparency: Whether the pixels are converted because some of them may be transparent.
        exif: The EXIF block, with or without its prefix, or the whole file of a TIFF; anything but bytes is no block.
    """

    info: ImageInfo
    orientation: Orientation
    mode: str
    frames: int
    decoder_memory: DecoderMemory
    decoder_scales: tuple[int, ...] = ()
    coded_pixels: int = 0
    refusal: PermanentError | None = None
    has_transparency: bool = False
    exif: object = None

    @property
    def pixels(self) -> int:
        """Stored pixels of the first frame."""
        return self.info.width * self.info.height

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height before the orientation is applied."""
        return self.orientation.swap((self.info.width, self.info.height))


class PartialImageError(PermanentError):
    """A picture of which only a part is good: ``truncated`` or ``damaged``.

    Attributes:
        part: The good part.
    """

    def __init__(self, reason: Reason, detail: str, part: Part) -> None:
        super().__init__(reason, detail)
        self.part = part


class ImageFormat:
    """One image format. The defaults suit a format that Pillow's reader handles without help.

    Each module holds one instance, ``FORMAT``. It has no state and is safe to use from many threads.

    Attributes:
        name: The format's name in results: ``jpeg``, ``png`` ... It is also the name of its module.
        reader: Pillow's class that opens the format. It is opened as a class, not through ``Image.open``: only the
            reader that the content calls for ever sees the content, no plugin of the process takes part, and no
            process-wide limit or warning of Pillow decides.
        reader_is_upright: Whether the reader applies the orientation itself.
        can_state_any_size: Whether a few bytes can state any number of pixels and are slow to decode. The other formats
            have a floor of their own, such as Deflate's 1,032 to one.
        is_decodable_in_part: Whether a part can be decoded of a file that ``validate`` calls truncated or corrupt.
        images_in_memory: How many images of the stored size the reader holds at its peak.
    """

    name: str
    reader: type[ImageFile]
    reader_is_upright = False
    can_state_any_size = False
    is_decodable_in_part = False
    images_in_memory = 1

    def validate(self, content: bytes, limits: Limits) -> int:
        """Check that the file is whole, without decoding a pixel, and return its number of frames or pages.

        Some decoders fill missing data with grey or stop early without an error, and all of them notice late. This
        takes microseconds, and bounds how many chunks and frames a reader will meet.

        Raises:
            PermanentError: ``truncated``, ``corrupt``, ``too_many_frames`` (or chunks), ``decompression_bomb`` or
                ``unsupported_format``.
        """
        try:
            frames = self.count_frames(content, ChunkLimit(limits.max_chunks))
        except (struct.error, IndexError) as error:
            raise truncated(content, "its header is cut off") from error
        except OverflowError as error:  # a 64-bit offset that no file can have
            raise corrupt("it points outside of any file") from error
        if frames > limits.max_frames:
            raise PermanentError(
                Reason.TOO_MANY_FRAMES,
                f"The file holds {frames:,} frames or pages; the limit is {limits.max_frames:,}.",
            )
        return frames

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Walk the file's own lengths and return its number of frames, 1 where the format has no frames.

        Raises:
            PermanentError: The file is not whole, or not supported.
            struct.error, IndexError: The file ends inside a header.
            OverflowError: An offset is larger than any file.
        """
        raise NotImplementedError

    def open(self, content: bytes) -> ImageFile:
        """Open the content with the format's reader; the pixels are decoded when the image is first used.

        Raises:
            PermanentError: The reader cannot read the header, or is not installed.
        """
        with decoder_errors(self.name):
            return self.reader(BytesIO(content))

    def read_header(self, content: bytes, frames: int, limits: Limits) -> Header:
        """Read the header of a file that ``validate`` has passed.

        Raises:
            PermanentError: The reader cannot read the header.
        """
        return self.describe(self.open(content), content, frames, limits)

    def describe(self, image: ImageFile, content: bytes, frames: int, limits: Limits) -> Header:  # noqa: ARG002 - one interface
        """Return the header of an opened image."""
        exif, xmp = self.metadata(image, content)
        orientation = Orientation.UPRIGHT if self.reader_is_upright else read_orientation(exif, xmp)
        pixels = image_bytes(*image.size, image.mode)
        with decoder_errors(self.name):  # a palette may be missing
            has_transparency = image.has_transparency_data
        return Header(
            info=ImageInfo(*orientation.swap(image.size), self.name),
            orientation=orientation,
            mode=image.mode,
            frames=frames,
            decoder_memory=DecoderMemory(self.images_in_memory * pixels, pixels),
            has_transparency=has_transparency,
            exif=exif,
        )

    def metadata(self, image: ImageFile, content: bytes) -> tuple[object, object]:  # noqa: ARG002 - one interface
        """Return the EXIF block and the XMP packet: bytes, or anything else where there is none or it is broken."""
        return image.info.get("exif"), image.info.get("xmp")

    def color_profile(self, content: bytes) -> str | None:
        """Return the name of an embedded colour profile that differs from sRGB; a broken one counts as absent."""
        try:
            return self.read_color_profile(content)
        except (struct.error, LookupError, zlib.error, PermanentError):
            return None

    def read_color_profile(self, content: bytes) -> str | None:  # noqa: ARG002 - one interface
        """Return the name of the profile in a file that ``validate`` has passed; ``None`` where there is none.

        A format whose ``read_header`` puts the name into the header needs no such method.

        Raises:
            struct.error, LookupError, zlib.error, PermanentError: It is broken.
        """
        return None

    def refuse(self, header: Header, content: bytes) -> None:
        """Refuse an image that is within the limits and still cannot be decoded, or only at too high a cost.

        Raises:
            PermanentError: ``decompression_bomb`` or ``unsupported_format``.
        """

    def decode(self, content: bytes, mode: Mode, scale: int) -> Image.Image:  # noqa: ARG002 - one interface
        """Decode the first frame as it is stored; call this inside ``decoder_errors``.

        Args:
            content: A file whose header was read.
            mode: The mode that the caller converts the image to; a decoder may decode to it directly.
            scale: One of the header's ``decoder_scales``, or 1.

        Raises:
            PartialImageError: A part of the picture is good, and it is known already.
        """
        image = self.open(content)
        image.load()
        return image

    def decode_part(self, content: bytes) -> Part | None:
        """Decode the good part of a picture that ``decode`` refused; ``None`` where there is none.

        Raises:
            TransientError: Memory ran out.
        """
        return decode_part(lambda: self.open(content))


def load_format(name: str) -> ImageFormat:
    """Return the format of a name that ``detect_format`` returns; the first call for it imports its module."""
    return cast("ImageFormat", import_module(f"inference.decoding.formats.{name}").FORMAT)
