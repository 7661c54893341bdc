"""TIFF: directories of tags that point anywhere in the file (TIFF 6.0)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from PIL import ExifTags, Image, TiffImagePlugin

from inference.decoding.formats.image_format import Header, ImageFormat
from inference.decoding.formats.refusals import truncated, unsupported
from inference.decoding.orientation import read_orientation
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.decoding.formats.chunk_limit import ChunkLimit


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
_CODECS_OF_OTHERS = {34712: "JPEG 2000", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL"}
_SHORT = 3
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes of a value, by type
_BIG_ENTRY_BYTES = 20


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

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


class Tiff(ImageFormat):
    """TIFF and BigTIFF; the first page."""

    name = "tiff"
    reader = _Reader
    reader_is_upright = True
    images_in_memory = 3  # strips, the image, and its upright copy

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Return the number of pages, and check the first of them."""
        order = "<" if content[:2] == b"II" else ">"
        big = content[2:4] in {b"+\x00", b"\x00+"}
        entry_bytes, count_format, offset_format = (_BIG_ENTRY_BYTES, "Q", "Q") if big else (12, "H", "I")
        (at,) = struct.unpack_from(order + offset_format, content, 8 if big else 4)
        seen: set[int] = set()
        while at and at not in seen:
            seen.add(at)
            chunks.count()
            (count,) = struct.unpack_from(order + count_format, content, at)
            first = at + struct.calcsize(count_format)
            if len(seen) == 1:
                _check_first_page(content, order, range(first, first + count * entry_bytes, entry_bytes), chunks)
            (at,) = struct.unpack_from(order + offset_format, content, first + count * entry_bytes)
        return len(seen)

    def refuse(self, header: Header, content: bytes) -> None:  # noqa: ARG002
        """Refuse floating-point samples: no value is agreed to be white."""
        if header.mode == "F":
            raise PermanentError(
                Reason.UNSUPPORTED_FORMAT,
                "The content is a TIFF of floating-point samples, for which no value is agreed to be white.",
                header.info,
            )


FORMAT = Tiff()


def _check_first_page(content: bytes, order: str, entries: range, chunks: ChunkLimit) -> None:
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
    codec = _CODECS_OF_OTHERS.get(tags.get(_COMPRESSION, 1))
    if codec:
        raise unsupported(f"a TIFF compressed with {codec}")
    is_ycbcr = tags.get(_PHOTOMETRIC) == _YCBCR
    if is_ycbcr and tags.get(_COMPRESSION, 1) == 1 and tags.get(_YCBCR_SUBSAMPLING, 2) != 1:
        raise unsupported("an uncompressed YCbCr TIFF with subsampled chroma")
