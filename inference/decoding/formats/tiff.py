"""TIFF: directories of tags that point anywhere in the file (TIFF 6.0)."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import ExifTags, Image, ImagePalette, TiffImagePlugin

from inference.decoding.decoder_errors import decoder_errors
from inference.decoding.formats.image_format import Header, ImageFormat
from inference.decoding.formats.refusals import truncated, unsupported
from inference.decoding.memory_cost import DecoderMemory, image_bytes
from inference.decoding.orientation import Orientation, read_orientation
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.ImageFile import ImageFile

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.limits import Limits


_SUB_IFDS = 330
_NEW_SUBFILE_TYPE = 254
_DNG_VERSION = 50706
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324
_OFFSETS = frozenset({_STRIP_OFFSETS, _TILE_OFFSETS})  # Pillow makes one object of each
_WIDTH, _HEIGHT, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 278, 322, 323
_SAMPLES, _PLANAR, _IN_PLANES = 277, 284, 2
_LAYOUT = frozenset({258, 279, 325}) | _OFFSETS  # bits per sample, lengths
_SHARED_BYTES = 65_536  # values that several tags may well point at together
_COMPRESSION, _PHOTOMETRIC, _YCBCR, _YCBCR_SUBSAMPLING = 259, 262, 6, 530
_RAW_PHOTOMETRICS = frozenset({32803, 34892})  # the colour filter of a sensor, and linear raw
_RAW_CODECS = frozenset({32767, 32769, 32770, 34713, 34892, 65000, 65535})  # Sony, Epson, Samsung, Nikon, Kodak, Pentax
_OTHER_CODECS = {
    6: "old-style JPEG",
    32766: "NeXT's run lengths",
    32895: "RasterPadding",
    32908: "Pixar's film codec",
    32909: "Pixar's logarithmic codec",
    34661: "JBIG",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34887: "LERC",
    34933: "PNG",
    34934: "JPEG XR",
    22610: "JPEG XR",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_PHOTOMETRICS = {
    0: "grey (zero is white)",
    1: "grey",
    2: "RGB",
    3: "palette",
    4: "mask",
    5: "CMYK",
    6: "YCbCr",
    8: "L*a*b*",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
}
_ONE_CHANNEL = frozenset({0, 1, 3})
_JPEG, _RGBA_BITS = 7, 32
_THUMBNAIL, _MASK = 1, 4  # bits of NewSubfileType
_BITS_PER_SAMPLE, _SAMPLE_FORMAT = 258, 339
_SAMPLE_FORMATS = {1: "unsigned", 2: "signed", 3: "floating-point", 4: "undefined", 5: "complex", 6: "complex"}
_HEADER_BYTES = 16  # of a BigTIFF
_COLOR_MAP, _EIGHT_BITS = 320, 256
_LEFT_TO_LIBTIFF = 32771  # a codec that Pillow knows and nothing writes
_SHORT = 3
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes of a value, by type
_BIG_ENTRY_BYTES = 20


class _EndedDirectory(BytesIO):
    """The file, behind which the offset of a next page reads as zero: there is none."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read; the end of the file is followed by as many zeros as such an offset has."""
        at = self.tell()
        found = super().read(size)
        is_cut_offset = size in {4, 8} and len(found) < size and at > _HEADER_BYTES
        return found.ljust(size or 0, b"\0") if is_cut_offset else found


class _Reader(TiffImagePlugin.TiffImageFile):
    """Pillow's reader without its process-wide limit and warning, because the header was checked before.

    It applies the orientation to its pixels by itself, also one from XMP; this one also knows its size before it does.
    """

    def _open(self) -> None:
        super()._open()
        if self.tag_v2.get(_NEW_SUBFILE_TYPE, 0) & _THUMBNAIL:
            self._seek(next((page for page in range(1, self.n_frames) if self._is_picture(page)), 0))
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

    def _is_picture(self, page: int) -> bool:
        self._seek(page)
        return not self.tag_v2.get(_NEW_SUBFILE_TYPE, 0) & (_THUMBNAIL | _MASK)

    def _setup(self) -> None:
        """Lay out the pixels as Pillow does, but for the three kinds that it decodes to other pixels.

        Raises:
            PermanentError: ``unsupported_format``: Pillow has no mode for these samples.
        """
        is_plain = self.tag_v2.get(_COMPRESSION, 1) == 1
        if is_plain and self.tag_v2.get(_PLANAR, 1) == _IN_PLANES:
            # Pillow's own decoder takes 16-bit planes for 8-bit ones. With any other codec it calls libtiff, which
            # reads the true codec from the file.
            self.tag_v2[_COMPRESSION] = _LEFT_TO_LIBTIFF
        try:
            super()._setup()
        except SyntaxError as error:
            if "pixel mode" in str(error):
                raise unsupported(_describe(self.tag_v2)) from error
            raise
        if self.use_load_libtiff:  # libtiff gives native byte order; Pillow expects the file's in signed samples
            self.tile = [tile._replace(args=_in_native_order(tile.args)) for tile in self.tile]
        colors = self.tag_v2.get(_COLOR_MAP, ())
        if self.palette and colors and max(colors) < _EIGHT_BITS:  # writers that knew 8 bits only; libtiff's rule too
            self.palette = ImagePalette.raw("RGB;L", bytes(colors))

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


class Tiff(ImageFormat):
    """TIFF and BigTIFF; the first page."""

    name = "tiff"
    reader = _Reader
    reader_is_upright = True

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Return the number of pages, and check the one that is decoded."""
        order = "<" if content[:2] == b"II" else ">"
        big = content[2:4] in {b"+\x00", b"\x00+"}
        if big and order == ">":
            raise unsupported("a BigTIFF in big-endian byte order")
        entry_bytes, count_format, offset_format = (_BIG_ENTRY_BYTES, "Q", "Q") if big else (12, "H", "I")
        (at,) = struct.unpack_from(order + offset_format, content, 8 if big else 4)
        pages: dict[int, range] = {}
        while at and at not in pages:
            chunks.count()
            (count,) = struct.unpack_from(order + count_format, content, at)
            first = at + struct.calcsize(count_format)
            pages[at] = range(first, first + count * entry_bytes, entry_bytes)
            if pages[at].stop > len(content):
                raise truncated(content, "its table of tags is cut off")
            at = _next_page(content, order + offset_format, pages[at].stop)
        if pages:
            _check_page(content, order, _choose_page(content, order, list(pages.values()), chunks), chunks)
        return len(pages)

    def open(self, content: bytes) -> ImageFile:
        """Open the content with Pillow's reader, also where it ends before the offset of a next page."""
        with decoder_errors(self.name):
            return self.reader(_EndedDirectory(content))

    def describe(self, image: ImageFile, content: bytes, frames: int, limits: Limits) -> Header:
        """Return the header of an opened image."""
        pixels = image_bytes(*image.size, image.mode)
        is_turned = isinstance(image, _Reader) and image.is_turned
        memory = DecoderMemory(pixels * (1 + is_turned) + (_part_bytes(image) if isinstance(image, _Reader) else 0))
        return (
            super()
            .describe(image, content, frames, limits)
            ._replace(decoder_memory=memory, coded_pixels=_tile_pixels(image))
        )

    def refuse(self, header: Header, content: bytes) -> None:  # noqa: ARG002 - one interface
        """Refuse floating-point samples: no value is agreed to be white."""
        if header.mode == "F":
            raise PermanentError(
                Reason.UNSUPPORTED_FORMAT,
                "The content is a TIFF of floating-point samples, for which no value is agreed to be white.",
                header.info,
            )


FORMAT = Tiff()


def _next_page(content: bytes, offset_format: str, at: int) -> int:
    """Return the offset of the next page, 0 where the file ends before it: every pixel of this page may be there."""
    if at + struct.calcsize(offset_format) > len(content):
        return 0
    return int(struct.unpack_from(offset_format, content, at)[0])


def _choose_page(content: bytes, order: str, pages: list[range], chunks: ChunkLimit) -> range:
    """Return the first page or, where that is a thumbnail, the first that is neither a thumbnail nor a mask."""
    kinds = (_subfile_type(content, order, entries, chunks) for entries in pages)
    if not next(kinds) & _THUMBNAIL:
        return pages[0]
    pictures = (page for page, kind in zip(pages[1:], kinds, strict=True) if not kind & (_THUMBNAIL | _MASK))
    return next(pictures, pages[0])


def _subfile_type(content: bytes, order: str, entries: range, chunks: ChunkLimit) -> int:
    value_at = 12 if entries.step == _BIG_ENTRY_BYTES else 8
    for at in entries:
        chunks.count()
        tag, kind = struct.unpack_from(order + "HH", content, at)
        if tag == _NEW_SUBFILE_TYPE:
            return int(struct.unpack_from(order + ("H" if kind == _SHORT else "I"), content, at + value_at)[0])
    return 0


def _part_bytes(image: _Reader) -> float:
    """Return the bytes of the strip or tile that libtiff decodes at once; Pillow reads the others row by row."""
    if not image.use_load_libtiff:
        return 0
    tags = image.tag_v2
    width, height = tags[_WIDTH], tags[_HEIGHT]
    if _TILE_OFFSETS in tags:
        width, rows = tags.get(_TILE_WIDTH, width), tags.get(_TILE_HEIGHT, height)
    else:
        rows = min(height, tags.get(_ROWS_PER_STRIP, height))
    bits = sum(tags.get(_BITS_PER_SAMPLE, (1,))[:1]) * (1 if tags.get(_PLANAR) == _IN_PLANES else tags.get(_SAMPLES, 1))
    if tags.get(_PHOTOMETRIC) == _YCBCR and tags.get(_COMPRESSION) != _JPEG:
        bits = max(bits, _RGBA_BITS)
    return float(width * rows * bits / 8)


def _tile_pixels(image: ImageFile) -> int:
    """Return the pixels of one tile, which may be larger than the picture; 0 where libtiff decodes none."""
    if not isinstance(image, _Reader) or not image.use_load_libtiff or _TILE_OFFSETS not in image.tag_v2:
        return 0
    return int(image.tag_v2.get(_TILE_WIDTH, 0) * image.tag_v2.get(_TILE_HEIGHT, 0))


def _in_native_order(decoder_arguments: Any) -> Any:
    raw_mode, *others = decoder_arguments
    return raw_mode.replace("BS", "S"), *others


def _describe(tags: Mapping[int, Any]) -> str:
    """Return the words for samples that Pillow has no mode for."""
    photometric = tags.get(_PHOTOMETRIC, 0)
    bits = tags.get(_BITS_PER_SAMPLE, (1,))
    sample_format = _SAMPLE_FORMATS.get(tags.get(_SAMPLE_FORMAT, (1,))[0], "unknown")
    color = _PHOTOMETRICS.get(photometric, f"photometric {photometric}")
    return f"a TIFF of {tags.get(_SAMPLES, 1)} x {bits[0]}-bit {sample_format} samples, {color}"


def _check_page(content: bytes, order: str, entries: range, chunks: ChunkLimit) -> None:
    """Check that the layout of the picture is in the file, and that the picture is not a raw photo's thumbnail."""
    wide = entries.step == _BIG_ENTRY_BYTES
    tags: dict[int, int] = {}
    listed: dict[int, int] = {}
    pointed_at = 0
    for at in entries:
        chunks.count()
        tag, kind, count, value = struct.unpack_from(order + ("HHQQ" if wide else "HHII"), content, at)
        size = count * _SIZES.get(kind, 1)
        if tag in _LAYOUT and size > (8 if wide else 4) and value + size > len(content):
            raise truncated(content, f"its layout (tag {tag}) points behind the end")
        if tag in _OFFSETS:
            chunks.count(count)
            listed[tag] = count
        pointed_at += min(size, max(0, len(content) - value)) if size > (8 if wide else 4) else 0
        if pointed_at > len(content) + _SHARED_BYTES:
            raise PermanentError(Reason.DECOMPRESSION_BOMB, "The file's tags point at more bytes than it holds.")
        (tags[tag],) = (
            struct.unpack_from(order + "H", content, at + (12 if wide else 8)) if kind == _SHORT else (value,)
        )
    _refuse_misread(tags)
    for kind, needed in ((_STRIP_OFFSETS, _strips(tags)), (_TILE_OFFSETS, _tiles(tags))):
        if kind in listed and listed[kind] < needed:  # Pillow would leave the others black
            raise truncated(content, f"it lists {listed[kind]:,} of the {needed:,} parts of its picture")
    if _DNG_VERSION in tags:
        raise unsupported("a camera raw file (DNG)")
    if _SUB_IFDS in tags and tags.get(_NEW_SUBFILE_TYPE, 0) & 1:
        raise unsupported("a camera raw file (such as NEF)")


def _strips(tags: Mapping[int, int]) -> int:
    """Return the number of strips that the picture needs; TIFF 6.0, sections 3 and 8."""
    height = tags.get(_HEIGHT, 0)
    return _planes(tags) * _parts(height, tags.get(_ROWS_PER_STRIP) or height)


def _tiles(tags: Mapping[int, int]) -> int:
    """Return the number of tiles that the picture needs; TIFF 6.0, section 15."""
    across = _parts(tags.get(_WIDTH, 0), tags.get(_TILE_WIDTH, 0))
    return _planes(tags) * across * _parts(tags.get(_HEIGHT, 0), tags.get(_TILE_HEIGHT, 0))


def _planes(tags: Mapping[int, int]) -> int:
    return tags.get(_SAMPLES, 1) if tags.get(_PLANAR) == _IN_PLANES else 1


def _parts(size: int, step: int) -> int:
    return -(-size // max(1, step))


def _refuse_misread(tags: dict[int, int]) -> None:
    """Refuse a TIFF that Pillow misreads, or calls damaged because its libtiff lacks the codec."""
    codec, photometric = tags.get(_COMPRESSION, 1), tags.get(_PHOTOMETRIC, 0)
    if codec in _RAW_CODECS or photometric in _RAW_PHOTOMETRICS:
        raise unsupported("a camera raw file (such as NEF, ARW, SRW or PEF)")
    if codec in _OTHER_CODECS:
        raise unsupported(f"a TIFF compressed with {_OTHER_CODECS[codec]}")
    if codec not in TiffImagePlugin.COMPRESSION_INFO:
        raise unsupported(f"a TIFF with compression {codec}")
    if photometric == _YCBCR and codec == 1 and tags.get(_YCBCR_SUBSAMPLING, 2) != 1:
        raise unsupported("an uncompressed YCbCr TIFF with subsampled chroma")
    if photometric in _ONE_CHANNEL and tags.get(_SAMPLES, 1) > 1 and tags.get(_PLANAR) == _IN_PLANES:
        raise unsupported("a grey or palette TIFF with alpha in a plane of its own")
