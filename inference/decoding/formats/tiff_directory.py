"""The directories of a TIFF: which page is the picture, and whether the file holds all that it needs.

A directory is a table of tags, and names the next directory (TIFF 6.0, section 2). Its values are anywhere in the
file. Nothing here decodes a pixel.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from inference.decoding.formats.chunk_limit import ChunkLimit
from inference.decoding.formats.refusals import truncated, unsupported
from inference.decoding.formats.tiff_tags import Tag
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

THUMBNAIL, MASK = 1, 4  # bits of NewSubfileType
IN_PLANES = 2  # PlanarConfiguration

_SHORT, _LONG, _LONG8 = 3, 4, 16  # types of a value
_SIZES = {_SHORT: 2, _LONG: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, _LONG8: 8, 17: 8, 18: 8}  # by type
_NUMBERS = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}
_PARTS = ((Tag.STRIP_OFFSETS, Tag.STRIP_LENGTHS), (Tag.TILE_OFFSETS, Tag.TILE_LENGTHS))
_LAYOUT = frozenset({Tag.BITS_PER_SAMPLE, *_PARTS[0], *_PARTS[1]})
_SHARED_BYTES = 65_536  # values that several tags may well point at together


class _Entry(NamedTuple):
    """One tag: how many values it has, of which type, and where they lie."""

    kind: int
    number: int
    at: int  # the offset of the values
    size: int  # in bytes
    is_apart: bool  # whether the values lie outside of the entry
    first: int  # the first value, where they lie inside the entry; otherwise their offset


class Directory(NamedTuple):
    """One directory whose table is in the file.

    Attributes:
        order: Byte order, ``<`` or ``>``.
        at: Its offset in the file.
        entries: The offsets of its entries.
        is_big: Whether it is one of a BigTIFF.
    """

    order: str
    at: int
    entries: range
    is_big: bool

    def entry(self, content: bytes, at: int) -> tuple[int, _Entry]:
        """Return the tag and the facts of the entry at this offset."""
        tag, kind, count, value = struct.unpack_from(self.order + ("HHQQ" if self.is_big else "HHII"), content, at)
        value_at = at + (12 if self.is_big else 8)
        size = count * _SIZES.get(kind, 1)
        if size > (8 if self.is_big else 4):
            return tag, _Entry(kind, count, value, size, is_apart=True, first=value)
        if kind == _SHORT:
            (value,) = struct.unpack_from(self.order + "H", content, value_at)
        return tag, _Entry(kind, count, value_at, size, is_apart=False, first=value)

    def kind(self, content: bytes, chunks: ChunkLimit) -> int:
        """Return the bits of ``NewSubfileType``; 0 is a full picture."""
        for at in self.entries:
            chunks.count()
            tag, entry = self.entry(content, at)
            if tag == Tag.NEW_SUBFILE_TYPE:
                return entry.first
        return 0


class Pages(NamedTuple):
    """The directories of a file, in order; the last may name another that the file does not hold."""

    directories: list[Directory]
    is_cut: bool


def read_pages(content: bytes, chunks: ChunkLimit) -> Pages:
    """Follow the directories up to the last, to one that was met before, or to one that the file does not hold.

    Raises:
        PermanentError: ``truncated``: the first directory is not in the file; ``unsupported_format``;
            ``too_many_frames``.
        struct.error: The file ends inside its header.
    """
    order = "<" if content[:2] == b"II" else ">"
    is_big = content[2:4] in {b"+\x00", b"\x00+"}
    if is_big and order == ">":
        raise unsupported("a BigTIFF in big-endian byte order")
    count_format, offset_format = (order + "Q", order + "Q") if is_big else (order + "H", order + "I")
    (at,) = struct.unpack_from(offset_format, content, 8 if is_big else 4)
    pages: dict[int, Directory] = {}
    while at and at not in pages:
        chunks.count()
        page = _read_directory(content, at, count_format, order)
        if page is None:
            if not pages:
                raise truncated(content, "its table of tags is cut off")
            return Pages(list(pages.values()), is_cut=True)
        pages[at] = page
        at = page.entries.stop
        # A file may end before the offset of a next page: all of this page may be there.
        ends = at + struct.calcsize(offset_format) > len(content)
        (at,) = (0,) if ends else struct.unpack_from(offset_format, content, at)
    return Pages(list(pages.values()), is_cut=False)


def _read_directory(content: bytes, at: int, count_format: str, order: str) -> Directory | None:
    first = at + struct.calcsize(count_format)
    if first > len(content):
        return None
    is_big = count_format.endswith("Q")
    entry_bytes = 20 if is_big else 12
    (count,) = struct.unpack_from(count_format, content, at)
    if first + count * entry_bytes > len(content):
        return None
    return Directory(order, at, range(first, first + count * entry_bytes, entry_bytes), is_big)


def choose_picture(content: bytes, pages: Pages, chunks: ChunkLimit) -> Directory | None:
    """Return the first page or, where that is a thumbnail, the first that is neither a thumbnail nor a mask.

    Returns:
        The page; the first where there is no other; ``None`` for a file without pages.

    Raises:
        PermanentError: ``truncated``: only a thumbnail is there, and the file ends before a further page.
    """
    directories = pages.directories
    if not directories or not directories[0].kind(content, chunks) & THUMBNAIL:
        return directories[0] if directories else None
    for page in directories[1:]:
        if not page.kind(content, chunks) & (THUMBNAIL | MASK):
            return page
    if pages.is_cut:
        raise truncated(content, "it holds a thumbnail, and the table of tags of its picture is cut off")
    return directories[0]


def find_picture(content: bytes) -> Directory | None:
    """Return the page that is decoded, of a file that was checked before."""
    chunks = ChunkLimit(len(content))
    return choose_picture(content, read_pages(content, chunks), chunks)


def check_picture(content: bytes, page: Directory, chunks: ChunkLimit) -> dict[int, int]:
    """Check that the layout of the picture is in the file, and return the first value of each tag.

    Raises:
        PermanentError: ``truncated``, ``decompression_bomb``.
    """
    tags: dict[int, int] = {}
    listed: dict[int, int] = {}
    pointed_at = 0
    for at in page.entries:
        chunks.count()
        tag, entry = page.entry(content, at)
        if tag in _LAYOUT and entry.is_apart and entry.at + entry.size > len(content):
            raise truncated(content, f"its layout (tag {tag}) points behind the end")
        if tag in {Tag.STRIP_OFFSETS, Tag.TILE_OFFSETS}:  # Pillow makes one object of each
            chunks.count(entry.number)
            listed.setdefault(tag, entry.number)
        pointed_at += min(entry.size, max(0, len(content) - entry.at)) if entry.is_apart else 0
        if pointed_at > len(content) + _SHARED_BYTES:
            raise PermanentError(Reason.DECOMPRESSION_BOMB, "The file's tags point at more bytes than it holds.")
        tags.setdefault(tag, entry.first)
    for kind, needed in ((Tag.STRIP_OFFSETS, _strips(tags)), (Tag.TILE_OFFSETS, _tiles(tags))):
        if kind in listed and listed[kind] < needed:  # Pillow would leave the others black
            raise truncated(content, f"it lists {listed[kind]:,} of the {needed:,} parts of its picture")
    return tags


def read_profile(content: bytes, page: Directory) -> bytes:
    """Return the ICC profile of a page; empty where it has none."""
    for at in page.entries:
        tag, entry = page.entry(content, at)
        if tag == Tag.ICC_PROFILE:
            return content[entry.at : entry.at + entry.size]
    return b""


class Part(NamedTuple):
    """A strip or tile: where it begins and ends."""

    start: int
    end: int


def last_part(content: bytes, page: Directory) -> Part:
    """Return the strip or tile that ends last, which may be behind the end of the file."""
    entries = dict(page.entry(content, at) for at in page.entries)
    last = Part(0, 0)
    for tags in _PARTS:
        if not set(tags) <= entries.keys():
            continue
        offsets, lengths = (entries[tag] for tag in tags)
        count = min(offsets.number, lengths.number)
        starts, sizes = (_values(content, page, entry, count) for entry in (offsets, lengths))
        parts = (Part(start, start + size) for start, size in zip(starts, sizes, strict=False))
        last = max([last, *parts], key=lambda part: part.end)
    return last


def _values(content: bytes, page: Directory, entry: _Entry, count: int) -> tuple[int, ...]:
    if entry.kind not in _NUMBERS:
        return ()
    return struct.unpack_from(f"{page.order}{count}{_NUMBERS[entry.kind]}", content, entry.at)


def _strips(tags: Mapping[int, int]) -> int:
    """Return the number of strips that the picture needs; TIFF 6.0, sections 3 and 8."""
    height = tags.get(Tag.HEIGHT, 0)
    return _planes(tags) * _parts(height, tags.get(Tag.ROWS_PER_STRIP) or height)


def _tiles(tags: Mapping[int, int]) -> int:
    """Return the number of tiles that the picture needs; TIFF 6.0, section 15."""
    across = _parts(tags.get(Tag.WIDTH, 0), tags.get(Tag.TILE_WIDTH, 0))
    return _planes(tags) * across * _parts(tags.get(Tag.HEIGHT, 0), tags.get(Tag.TILE_HEIGHT, 0))


def _planes(tags: Mapping[int, int]) -> int:
    return tags.get(Tag.SAMPLES, 1) if tags.get(Tag.PLANAR) == IN_PLANES else 1


def _parts(size: int, step: int) -> int:
    return -(-size // max(1, step))
