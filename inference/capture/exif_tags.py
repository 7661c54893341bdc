"""Reads chosen tags of an EXIF block within fixed bounds.

A general reader copies the data of every tag and follows every directory that a block names; a hostile block makes that
slow. This one reads three directories, a bounded number of entries of each, and at most 512 bytes of a tag.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

MAX_VALUE_BYTES = 512
"""Of one tag: all tags that are read here have fewer, but for maker notes, whose facts stand in their first bytes."""

_MAX_ENTRIES = 1_000  # of one directory; cameras write fewer than a hundred
_ENTRY_BYTES = 12
_BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
_PREFIX = b"Exif\0\0"
_EXIF_DIRECTORY, _GPS_DIRECTORY = 0x8769, 0x8825
# Bytes of one item of each type (TIFF 6.0, section 2; EXIF 3.0 adds 129, UTF-8).
_ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 129: 1}
_LONG = 4
_TEXT_TYPES = frozenset({1, 2, 7, 129})
_RATIONAL, _SIGNED_RATIONAL = 5, 10
# Cameras write rational numbers, and programs also the others.
_NUMBERS = {3: "H", 4: "I", _RATIONAL: "II", 8: "h", 9: "i", _SIGNED_RATIONAL: "ii", 11: "f", 12: "d"}
_UNKNOWN = {_RATIONAL: 0xFFFFFFFF, _SIGNED_RATIONAL: -1}  # the denominator of an unknown value (EXIF 2.31)


class Value(NamedTuple):
    """One tag.

    Attributes:
        order: Byte order, as ``struct`` writes it.
        kind: The TIFF type.
        data: Its first bytes, at most ``MAX_VALUE_BYTES``.
    """

    order: str
    kind: int
    data: bytes

    def text(self) -> str:
        """The text before the first NUL; empty where the tag holds none."""
        if self.kind not in _TEXT_TYPES:
            return ""
        data = self.data.partition(b"\0")[0]
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def numbers(self) -> list[float]:
        """The numbers; empty where the tag holds none, or one of them is unknown."""
        letter = _NUMBERS.get(self.kind)
        if letter is None:
            return []
        if self.kind not in _UNKNOWN:
            return [float(number) for (number,) in struct.iter_unpack(self.order + letter, self.data)]
        pairs = list(struct.iter_unpack(self.order + letter, self.data))
        if any(denominator in (0, _UNKNOWN[self.kind]) for _, denominator in pairs):
            return []
        return [numerator / denominator for numerator, denominator in pairs]


class Directories(NamedTuple):
    """The tags by number: of the image, of the shot, and of the position."""

    image: dict[int, Value]
    shot: dict[int, Value]
    position: dict[int, Value]


def read_directories(block: bytes) -> Directories:
    """Read an EXIF block, with or without its ``Exif`` prefix, or a whole TIFF file.

    A broken block gives the tags that can be read; bytes that are no block give none.
    """
    start = len(_PREFIX) if block.startswith(_PREFIX) else 0
    order = _BYTE_ORDERS.get(block[start : start + 4])
    if order is None:
        return Directories({}, {}, {})
    try:
        (first,) = struct.unpack_from(order + "I", block, start + 4)
    except struct.error:
        return Directories({}, {}, {})
    image = _read_directory(block, start, order, first)
    shot, position = (
        _read_directory(block, start, order, offset) if (offset := _offset(image.get(tag))) else {}
        for tag in (_EXIF_DIRECTORY, _GPS_DIRECTORY)
    )
    return Directories(image, shot, position)


def _offset(value: Value | None) -> int:
    if value is None or value.kind != _LONG or len(value.data) != 4:
        return 0
    return int(struct.unpack(value.order + "I", value.data)[0])


def _read_directory(block: bytes, start: int, order: str, offset: int) -> dict[int, Value]:
    """Read one directory. The first entry of a tag counts; one whose data lies outside of the block does not."""
    at = start + offset
    if at + 2 > len(block):
        return {}
    (count,) = struct.unpack_from(order + "H", block, at)
    entries = block[at + 2 : at + 2 + min(count, _MAX_ENTRIES) * _ENTRY_BYTES]
    values: dict[int, Value] = {}
    whole = len(entries) // _ENTRY_BYTES * _ENTRY_BYTES
    for tag, kind, items, field in struct.iter_unpack(order + "HHI4s", entries[:whole]):
        size = _ITEM_BYTES.get(kind, 0) * items
        if not size or tag in values:
            continue
        if size <= len(field):
            values[tag] = Value(order, kind, field[:size])
            continue
        (place,) = struct.unpack(order + "I", field)
        if start + place + size <= len(block):
            first = start + place
            values[tag] = Value(order, kind, block[first : first + min(size, MAX_VALUE_BYTES)])
    return values
