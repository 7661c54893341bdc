"""Which bytes of an AVIF or HEIC file hold its picture: items of the ``meta`` box, or the first samples of tracks.

Box names are those of ISO/IEC 14496-12 (``iloc``, ``iref``, ``pitm``, ``stco``, ``stsz``) and 23008-12 (``ipma``,
``ispe``, ``dimg``, ``auxl``).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from inference.decoding.formats.iso_bmff import boxes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.decoding.formats.chunk_limit import Pieces
    from inference.decoding.formats.iso_bmff import Box

Stream = bytes | memoryview

_TO_SAMPLES = (b"mdia", b"minf", b"stbl")
_IN_FILE, _IN_IDAT = 0, 1  # construction methods


class Part(NamedTuple):
    """A coded stream, and the pixels that its ``ispe`` box says it has (0 where it has none)."""

    stream: Stream
    stated_pixels: int


class Layers(NamedTuple):
    """What a picture is made of: its colours (several parts where it is cut into tiles), and what lies beside them."""

    colour: list[Part]
    beside: list[Part]


class _References(NamedTuple):
    derived_from: dict[int, list[int]]  # a grid -> its tiles
    beside: dict[int, list[int]]  # a picture -> its alpha, depth ...


def picture_layers(content: bytes, pieces: Pieces) -> Iterator[Layers]:
    """Yield the streams of the primary picture, and of the first picture of each track."""
    for box in boxes(content, 0, len(content), pieces):
        if box.kind == b"meta":
            yield _primary_picture(content, box, pieces)
        elif box.kind == b"moov":
            for track in boxes(content, box.start, box.end, pieces):
                if track.kind == b"trak":
                    yield Layers([Part(_first_sample(content, track, pieces), 0)], [])


def _primary_picture(content: bytes, meta: Box, pieces: Pieces) -> Layers:
    inside = {box.kind: box for box in boxes(content, meta.start + 4, meta.end, pieces)}
    if not {b"pitm", b"iloc"} <= inside.keys():
        return Layers([], [])
    wide = content[inside[b"pitm"].start]
    (primary,) = struct.unpack_from(">I" if wide else ">H", content, inside[b"pitm"].start + 4)
    references = _References({}, {})
    if b"iref" in inside:
        references = _read_references(content, inside[b"iref"], pieces)
    extents = dict(_read_items(content, inside[b"iloc"], inside.get(b"idat"), pieces))
    colour = _leaves([primary], references)
    beside = _leaves([one for item in {primary, *colour} for one in references.beside.get(item, [])], references)
    joined = sum(len(part) for item in {*colour, *beside} if len(extents.get(item, ())) > 1 for part in extents[item])
    if joined > len(content):  # scattered pieces are copied, and need not overlap
        raise struct.error
    stated = dict(_stated_pixels(content, inside[b"iprp"], pieces)) if b"iprp" in inside else {}

    def part(item: int) -> Part:
        found = extents.get(item, [])
        return Part(found[0] if len(found) == 1 else b"".join(found), stated.get(item, 0))

    return Layers([part(item) for item in colour], [part(item) for item in beside])


def _leaves(items: list[int], references: _References) -> list[int]:
    """Replace grids and other derived pictures by what they are derived from."""
    leaves, seen, waiting = [], set(items), list(items)
    while waiting:
        item = waiting.pop()
        parts = references.derived_from.get(item)
        if parts is None:
            leaves.append(item)
            continue
        waiting += set(parts) - seen
        seen.update(parts)
    return leaves


def _read_references(content: bytes, iref: Box, pieces: Pieces) -> _References:
    references = _References({}, {})
    number = "I" if content[iref.start] else "H"
    for box in boxes(content, iref.start + 4, iref.end, pieces):
        source, count = struct.unpack_from(f">{number}H", content, box.start)
        pieces.count(count)
        targets = struct.unpack_from(f">{count}{number}", content, box.start + struct.calcsize(f">{number}H"))
        if box.kind == b"dimg":
            references.derived_from.setdefault(source, []).extend(targets)
        elif box.kind == b"auxl":
            for target in targets:
                references.beside.setdefault(target, []).append(source)
    return references


def _read_items(content: bytes, iloc: Box, idat: Box | None, pieces: Pieces) -> Iterator[tuple[int, list[memoryview]]]:
    """Yield number and extents of every item."""
    version, sizes = content[iloc.start], struct.unpack_from(">BB", content, iloc.start + 4)
    offset_bytes, length_bytes, base_bytes = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index_bytes = sizes[1] & 15 if version else 0
    wide = 4 if version > 1 else 2
    at = iloc.start + 6
    whole = memoryview(content)

    def number(size: int) -> int:
        nonlocal at
        at += size
        if at > iloc.end:
            raise struct.error
        return int.from_bytes(content[at - size : at])

    for _ in range(number(wide)):
        pieces.count()
        item = number(wide)
        method = number(2) & 15 if version else _IN_FILE
        number(2)  # data_reference_index
        base = number(base_bytes) + (idat.start if method == _IN_IDAT and idat else 0)
        parts = []
        for _ in range(number(2)):
            pieces.count()
            number(index_bytes)
            start = base + number(offset_bytes)
            parts.append(whole[start : start + number(length_bytes)])
        yield item, parts


def _stated_pixels(content: bytes, iprp: Box, pieces: Pieces) -> Iterator[tuple[int, int]]:
    """Yield number and stated pixels of every item that has a size."""
    tables = {box.kind: box for box in boxes(content, iprp.start, iprp.end, pieces)}
    sizes = {}
    for index, box in enumerate(boxes(content, tables[b"ipco"].start, tables[b"ipco"].end, pieces), start=1):
        if box.kind == b"ispe":
            width, height = struct.unpack_from(">II", content, box.start + 4)
            sizes[index] = width * height
    at = tables[b"ipma"].start
    version, is_wide = content[at], content[at + 3] & 1
    number = struct.Struct(">I" if version else ">H")
    property_index = struct.Struct(">H" if is_wide else ">B")
    (count,) = struct.unpack_from(">I", content, at + 4)
    at += 8
    for _ in range(count):
        pieces.count()
        (item,), links = number.unpack_from(content, at), content[at + number.size]
        at += number.size + 1
        for _ in range(links):
            (index,) = property_index.unpack_from(content, at)
            at += property_index.size
            index &= 0x7FFF if is_wide else 0x7F  # above it, whether a reader must know the property
            if index in sizes:
                yield item, sizes[index]


def _first_sample(content: bytes, track: Box, pieces: Pieces) -> Stream:
    inside = track
    for kind in _TO_SAMPLES:
        found = [box for box in boxes(content, inside.start, inside.end, pieces) if box.kind == kind]
        if not found:
            return b""
        inside = found[0]
    tables = {box.kind: box for box in boxes(content, inside.start, inside.end, pieces)}
    wide = b"co64" in tables
    (start,) = struct.unpack_from(">Q" if wide else ">I", content, tables[b"co64" if wide else b"stco"].start + 8)
    of_all, _, of_first = struct.unpack_from(">III", content, tables[b"stsz"].start + 4)
    return memoryview(content)[start : start + (of_all or of_first)]
