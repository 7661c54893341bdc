"""TIFF: directories of tags that point anywhere."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from inference.decoding.formats.chunk_limit import truncated
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.decoding.formats.chunk_limit import Pieces


_SUB_IFDS = 330
_NEW_SUBFILE_TYPE = 254
_DNG_VERSION = 50706
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324
_OFFSETS = frozenset({_STRIP_OFFSETS, _TILE_OFFSETS})  # one object each in Pillow
_WIDTH, _HEIGHT, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 278, 322, 323
_SAMPLES, _PLANAR, _IN_PLANES = 277, 284, 2
_LAYOUT = frozenset({258, 279, 325}) | _OFFSETS  # bits per sample, lengths
_SHARED_BYTES = 65_536  # values that several tags may well point at together
_COMPRESSION, _PHOTOMETRIC, _YCBCR, _YCBCR_SUBSAMPLING = 259, 262, 6, 530
_FOREIGN_CODECS = {34712: "JPEG 2000", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL"}
_SHORT = 3
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes of a value, by type
_BIG_ENTRY_BYTES = 20


def walk_tiff(content: bytes, pieces: Pieces) -> int:
    """Count the pages, and check the first of them."""
    order = "<" if content[:2] == b"II" else ">"
    big = content[2:4] in {b"+\x00", b"\x00+"}
    entry_bytes, count_format, offset_format = (_BIG_ENTRY_BYTES, "Q", "Q") if big else (12, "H", "I")
    (at,) = struct.unpack_from(order + offset_format, content, 8 if big else 4)
    seen: set[int] = set()
    while at and at not in seen:
        seen.add(at)
        pieces.count()
        (count,) = struct.unpack_from(order + count_format, content, at)
        first = at + struct.calcsize(count_format)
        if len(seen) == 1:
            _check_first_page(content, order, range(first, first + count * entry_bytes, entry_bytes), pieces)
        (at,) = struct.unpack_from(order + offset_format, content, first + count * entry_bytes)
    return len(seen)


def _check_first_page(content: bytes, order: str, entries: range, pieces: Pieces) -> None:
    """Check that the layout of the picture is in the file, and that the picture is not a raw photo's thumbnail."""
    wide = entries.step == _BIG_ENTRY_BYTES
    tags: dict[int, int] = {}
    listed: dict[int, int] = {}
    pointed_at = 0
    for at in entries:
        pieces.count()
        tag, kind, count, value = struct.unpack_from(order + ("HHQQ" if wide else "HHII"), content, at)
        size = count * _SIZES.get(kind, 1)
        if tag in _LAYOUT and size > (8 if wide else 4) and value + size > len(content):
            raise truncated(content, f"its layout (tag {tag}) stands behind the end")
        if tag in _OFFSETS:
            pieces.count(count)
            listed[tag] = count
        pointed_at += min(size, max(0, len(content) - value)) if size > (8 if wide else 4) else 0
        if pointed_at > len(content) + _SHARED_BYTES:
            raise PermanentError(Reason.DECOMPRESSION_BOMB, "The file's tags point at more bytes than it holds.")
        (tags[tag],) = (
            struct.unpack_from(order + "H", content, at + (12 if wide else 8)) if kind == _SHORT else (value,)
        )
    _refuse_what_is_read_wrong(tags)
    for kind, needed in ((_STRIP_OFFSETS, _strips(tags)), (_TILE_OFFSETS, _tiles(tags))):
        if kind in listed and listed[kind] < needed:  # Pillow would leave the others black
            raise truncated(content, f"{listed[kind]:,} of the {needed:,} parts of its picture are listed")
    if _DNG_VERSION in tags:
        raise _raw("DNG")
    if _SUB_IFDS in tags and tags.get(_NEW_SUBFILE_TYPE, 0) & 1:
        raise _raw("such as NEF")


def _strips(tags: Mapping[int, int]) -> int:
    """Count the strips that a picture needs; TIFF 6.0, sections 3 and 8."""
    height = tags.get(_HEIGHT, 0)
    return _planes(tags) * _parts(height, tags.get(_ROWS_PER_STRIP) or height)


def _tiles(tags: Mapping[int, int]) -> int:
    """Count the tiles that a picture needs; TIFF 6.0, section 15."""
    across = _parts(tags.get(_WIDTH, 0), tags.get(_TILE_WIDTH, 0))
    return _planes(tags) * across * _parts(tags.get(_HEIGHT, 0), tags.get(_TILE_HEIGHT, 0))


def _planes(tags: Mapping[int, int]) -> int:
    return tags.get(_SAMPLES, 1) if tags.get(_PLANAR) == _IN_PLANES else 1


def _parts(size: int, step: int) -> int:
    return -(-size // max(1, step))


def _refuse_what_is_read_wrong(tags: dict[int, int]) -> None:
    """Refuse what Pillow takes for something else, or calls damaged because its libtiff lacks the codec."""
    packed = _FOREIGN_CODECS.get(tags.get(_COMPRESSION, 1))
    if packed:
        raise PermanentError(Reason.UNSUPPORTED_FORMAT, f"The content is a TIFF packed with {packed}.")
    is_ycbcr = tags.get(_PHOTOMETRIC) == _YCBCR
    if is_ycbcr and tags.get(_COMPRESSION, 1) == 1 and tags.get(_YCBCR_SUBSAMPLING, 2) != 1:
        raise PermanentError(
            Reason.UNSUPPORTED_FORMAT, "The content is a TIFF of plain YCbCr samples at reduced chroma resolution."
        )


def _raw(name: str) -> PermanentError:
    detail = f"The content is a camera raw file ({name}), which is not decoded here."
    return PermanentError(Reason.UNSUPPORTED_FORMAT, detail)
