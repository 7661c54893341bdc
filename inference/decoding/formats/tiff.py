"""TIFF: directories of tags that point anywhere in the file (TIFF 6.0)."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import ExifTags, Image, ImagePalette, TiffImagePlugin

from inference.decoding.color_profile import name_profile
from inference.decoding.decoder_errors import decoder_errors
from inference.decoding.formats.image_format import Header, ImageFormat
from inference.decoding.formats.refusals import truncated
from inference.decoding.formats.tiff_directory import (
    IN_PLANES,
    check_picture,
    choose_picture,
    find_picture,
    last_part,
    read_pages,
    read_profile,
)
from inference.decoding.formats.tiff_tags import DEFLATE, FAX, JPEG, PLAIN, YCBCR, Tag, refuse_misread, refuse_samples
from inference.decoding.formats.tiff_windows import window_bytes
from inference.decoding.formats.zlib_stream import PIECE_BYTES, missing_checksum
from inference.decoding.memory_cost import DecoderMemory, image_bytes
from inference.decoding.orientation import Orientation, read_orientation
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.decoding.partial import Part
    from inference.decoding.pixels import Mode
    from inference.limits import Limits


_RGBA_BITS = 32
_EIGHT_BITS = 256
_LEFT_TO_LIBTIFF = 32771  # a codec that Pillow knows and nothing writes
_END_OF_JPEG = b"\xff\xd9"
_END_MARK_BYTES = 48  # the longest that a codec writes behind its pixels: checksum, index and footer of LZMA


class _Content(BytesIO):
    """The file as Pillow's reader needs it.

    Its header names the directory of the picture. Behind its end it goes on in zeros, because a tag whose value is cut
    off must not cost the tags behind it; ``read_pixels`` ends where the file does.
    """

    def __init__(self, content: bytes, tail: bytes = b"") -> None:
        super().__init__(content + tail if tail else content)
        page = find_picture(content)
        order = "<" if content[:2] == b"II" else ">"
        is_big = page is not None and page.is_big
        at = struct.pack(order + ("Q" if is_big else "I"), page.at if page else 0)
        self._header = content[: 8 if is_big else 4] + at

    def read(self, size: int | None = -1, /) -> bytes:
        """Read on; the first reads are those of the header."""
        if self._header and size and size > 0:
            found, self._header = self._header[:size], self._header[size:]
            self.seek(len(found), 1)
            return found
        found = super().read(size)
        return found.ljust(size, b"\0") if size and size > 0 else found

    def read_pixels(self, size: int) -> bytes:
        """Read on to the end of the file."""
        return super().read(size)


class _Reader(TiffImagePlugin.TiffImageFile):
    """Pillow's reader without its process-wide limit and warning, because the header was checked before.

    It applies the orientation to its pixels by itself, also one from XMP; this one also knows its size before it does.
    """

    def _open(self) -> None:
        super()._open()
        packet = self.info.pop("xmp", None)
        if isinstance(packet, bytes):  # anything else is damage, on which the reader would fail
            self.info["xmp"] = packet
        if ExifTags.Base.Orientation not in self.tag_v2 and read_orientation(None, packet).swaps_axes:
            self._size = self._tile_size[::-1]

    @property
    def is_turned(self) -> bool:
        """Whether an upright copy is made behind the decoder."""
        stated = self.tag_v2.get(ExifTags.Base.Orientation)
        if stated is None:
            return read_orientation(None, self.info.get("xmp")) is not Orientation.UPRIGHT
        return stated in range(2, 9)

    def _setup(self) -> None:
        """Lay out the pixels as Pillow does, but for the three kinds that it decodes to other pixels.

        Raises:
            PermanentError: ``unsupported_format``: Pillow has no mode for these samples.
        """
        is_plain = self.tag_v2.get(Tag.COMPRESSION, PLAIN) == PLAIN
        if is_plain and self.tag_v2.get(Tag.PLANAR, 1) == IN_PLANES:
            # Pillow's own decoder takes 16-bit planes for 8-bit ones. With any other codec it calls libtiff, which
            # reads the true codec from the file.
            self.tag_v2[Tag.COMPRESSION] = _LEFT_TO_LIBTIFF
        try:
            super()._setup()
        except SyntaxError as error:
            if "pixel mode" in str(error):
                raise refuse_samples(self.tag_v2) from error
            raise
        if self.use_load_libtiff:  # libtiff gives native byte order; Pillow expects the file's in signed samples
            self.tile = [tile._replace(args=_in_native_order(tile.args)) for tile in self.tile]
        colors = self.tag_v2.get(Tag.COLOR_MAP, ())
        if self.palette and colors and max(colors) < _EIGHT_BITS:  # writers that knew 8 bits only; libtiff's rule too
            self.palette = ImagePalette.raw("RGB;L", bytes(colors))

    def load_read(self, read_bytes: int) -> bytes:
        """Read what Pillow's own decoder asks for; libtiff gets the whole file."""
        return self.fp.read_pixels(read_bytes) if isinstance(self.fp, _Content) else b""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


class Tiff(ImageFormat):
    """TIFF and BigTIFF; the first page that is no thumbnail."""

    name = "tiff"
    reader = _Reader
    reader_is_upright = True

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Return the number of pages that are there, and check the one that is decoded."""
        pages = read_pages(content, chunks)
        picture = choose_picture(content, pages, chunks)
        if picture:
            refuse_misread(check_picture(content, picture, chunks))
        return len(pages.directories)

    def open(self, content: bytes) -> ImageFile:
        """Open the page that is decoded."""
        return self._open_with(content, b"")

    def _open_with(self, content: bytes, tail: bytes) -> _Reader:
        with decoder_errors(self.name):
            return self.reader(_Content(content, tail))

    def describe(self, image: ImageFile, content: bytes, frames: int, limits: Limits) -> Header:
        """Return the header of an opened image."""
        pixels = image_bytes(*image.size, image.mode)
        memory = DecoderMemory(pixels, pixels)
        if isinstance(image, _Reader):
            # Two decodes of a cut file are compared, each with a copy of the file.
            compared = pixels + 2 * len(content) if _missing_bytes(image, content) else 0
            with decoder_errors(self.name):  # a tag may be text where a number belongs
                part = _part_bytes(image)
                part += min(part, window_bytes(content, image.tag_v2.get(Tag.COMPRESSION, PLAIN)))
            memory = DecoderMemory(peak=pixels + compared + max(part, pixels * image.is_turned), held=pixels)
        with decoder_errors(self.name):
            tile_pixels = _tile_pixels(image)
        header = super().describe(image, content, frames, limits)
        return header._replace(decoder_memory=memory, coded_pixels=tile_pixels)

    def metadata(self, image: ImageFile, content: bytes) -> tuple[object, object]:
        """Return the file itself, which has the form of an EXIF block, and the XMP packet."""
        return content, image.info.get("xmp")

    def read_color_profile(self, content: bytes) -> str | None:
        """Return the name of the profile of the page that is decoded."""
        page = find_picture(content)
        return name_profile(read_profile(content, page)) if page else None

    def refuse(self, header: Header, content: bytes) -> None:  # noqa: ARG002 - one interface
        """Refuse floating-point samples: no value is agreed to be white."""
        if header.mode == "F":
            raise PermanentError(
                Reason.UNSUPPORTED_FORMAT,
                "The content is a TIFF of floating-point samples, for which no value is agreed to be white.",
                header.info,
            )

    def decode(self, content: bytes, mode: Mode, scale: int) -> Image.Image:  # noqa: ARG002 - one interface
        """Decode the picture; of a cut file, only where every pixel is there.

        libtiff reads whole strips and tiles only. Where the last of a file lacks a few bytes, two decodes with other
        bytes behind it show whether any pixel depends on them.

        Raises:
            PermanentError: ``truncated``.
        """
        image = self._open_with(content, b"")
        missing = _missing_bytes(image, content)
        if not missing:
            image.load()
            return image
        refusal = truncated(content, f"{missing:,} bytes of its last strip or tile are missing")
        images = []
        for tail in _possible_tails(image, content, missing):
            images.append(self._open_with(content, tail))
            try:
                with decoder_errors(self.name):
                    images[-1].load()
            except PermanentError as error:
                raise refusal from error
        if not images or not _are_equal(images[0], images[-1]):
            raise refusal
        return images[0]

    def decode_part(self, content: bytes) -> Part | None:
        """Decode the rows that are there; none of a picture that the reader turns once it is whole."""
        image = self.open(content)
        return None if isinstance(image, _Reader) and image.is_turned else super().decode_part(content)


FORMAT = Tiff()


def _missing_bytes(image: _Reader, content: bytes) -> int:
    """Return how many bytes of the last strip or tile libtiff would miss; Pillow's own decoder notices by itself."""
    page = find_picture(content) if image.use_load_libtiff else None
    return max(0, last_part(content, page).end - len(content)) if page else 0


def _possible_tails(image: _Reader, content: bytes, missing: int) -> list[bytes]:
    """Return bytes for the end of a cut file: its end mark or two different fillings; nothing if it lacks more."""
    codec, page = image.tag_v2.get(Tag.COMPRESSION), find_picture(content)
    if codec in FAX or missing > _END_MARK_BYTES or page is None:  # libtiff fills a broken fax row by itself
        return []
    if codec == JPEG:
        return [_END_OF_JPEG[-missing:]] if missing <= len(_END_OF_JPEG) else []
    if codec in DEFLATE:
        starts = range(last_part(content, page).start, len(content), PIECE_BYTES)
        checksum = missing_checksum(content[start : start + PIECE_BYTES] for start in starts)
        return [checksum] if len(checksum) == missing else []
    return [b"\0" * missing, b"\xff" * missing]


def _are_equal(image: Image.Image, other: Image.Image) -> bool:
    """Compare the pixels row by row, which takes no memory."""
    width, height = image.size
    rows = ((0, top, width, top + 1) for top in range(height))
    return image is other or all(image.crop(row).tobytes() == other.crop(row).tobytes() for row in rows)


def _part_bytes(image: _Reader) -> float:
    """Return the bytes of the strip or tile that libtiff decodes at once; Pillow reads the others row by row."""
    if not image.use_load_libtiff:
        return 0
    tags = image.tag_v2
    width, height = tags[Tag.WIDTH], tags[Tag.HEIGHT]
    if Tag.TILE_OFFSETS in tags:
        width, rows = tags.get(Tag.TILE_WIDTH, width), tags.get(Tag.TILE_HEIGHT, height)
    else:
        rows = min(height, tags.get(Tag.ROWS_PER_STRIP, height))
    samples = 1 if tags.get(Tag.PLANAR) == IN_PLANES else tags.get(Tag.SAMPLES, 1)
    bits = sum(tags.get(Tag.BITS_PER_SAMPLE, (1,))[:1]) * samples
    if tags.get(Tag.PHOTOMETRIC) == YCBCR and tags.get(Tag.COMPRESSION) != JPEG:
        bits = max(bits, _RGBA_BITS)
    return float(width * rows * bits / 8)


def _tile_pixels(image: ImageFile) -> int:
    """Return the pixels of one tile, which may be larger than the picture; 0 where libtiff decodes none."""
    if not isinstance(image, _Reader) or not image.use_load_libtiff or Tag.TILE_OFFSETS not in image.tag_v2:
        return 0
    return int(image.tag_v2.get(Tag.TILE_WIDTH, 0) * image.tag_v2.get(Tag.TILE_HEIGHT, 0))


def _in_native_order(decoder_arguments: Any) -> Any:
    raw_mode, *others = decoder_arguments
    return raw_mode.replace("BS", "S"), *others
