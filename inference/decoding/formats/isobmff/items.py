"""Finds the bytes of an AVIF or HEIC file that hold its picture: items of the ``meta`` box, or first samples of tracks.

Box names are those of ISO/IEC 14496-12 (``iloc``, ``iref``, ``pitm``, ``stco``, ``stsz``) and 23008-12 (``ipma``,
``ispe``, ``dimg``, ``auxl``).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from inference.decoding.formats.isobmff.boxes import boxes
from inference.decoding.formats.refusals import corrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.decoding.formats.isobmff.boxes import Box

Stream = bytes | memoryview

_TO_SAMPLES = (b"mdia", b"minf", b"stbl")
_IN_FILE, _IN_IDAT = 0, 1  # construction methods


class CodedItem(NamedTuple):
    """A coded stream, and the pixels that its ``ispe`` box states (0 where it has none)."""

    stream: Stream
    stated_pixels: int


class _References(NamedTuple):
    derived_from: dict[int, list[int]]  # a grid -> its tiles
    auxiliary: dict[int, list[int]]  # a picture -> its alpha, depth ...


def coded_layers(content: bytes, chunks: ChunkLimit) -> list[list[CodedItem]]:
    """Return the streams of the primary picture and of the first picture of each track, layer by layer.

    A layer is a picture's colours (several streams where it is cut into tiles) or its auxiliary images (alpha, depth).

    Raises:
        PermanentError: ``corrupt``: the items lie outside of the file; ``too_many_frames``: there are too many boxes.
    """
    try:
        return list(_layers(content, chunks))
    except (struct.error, LookupError) as error:
        raise corrupt("its boxes do not state where its picture is") from error


def _layers(content: bytes, chunks: ChunkLimit) -> Iterator[list[CodedItem]]:
    for box in boxes(content, 0, len(content), chunks):
        if box.kind == b"meta":
            yield from _primary_picture(content, box, chunks)
        elif box.kind == b"moov":
            for track in boxes(content, box.start, box.end, chunks):
                if track.kind == b"trak":
                    yield [CodedItem(_first_sample(content, track, chunks), 0)]


def _primary_picture(content: bytes, meta: Box, chunks: ChunkLimit) -> list[list[CodedItem]]:
    """Return the layer of the colours and the layer of the auxiliary images."""
    inside = {box.kind: box for box in boxes(content, meta.start + 4, meta.end, chunks)}
    if not {b"pitm", b"iloc"} <= inside.keys():
        return []
    wide = content[inside[b"pitm"].start]
    (primary,) = struct.unpack_from(">I" if wide else ">H", content, inside[b"pitm"].start + 4)
    references = _References({}, {})
    if b"iref" in inside:
        references = _read_references(content, inside[b"iref"], chunks)
    extents = dict(_read_items(content, inside[b"iloc"], inside.get(b"idat"), chunks))
    colour = _resolve_derived([primary], references)
    auxiliary = _resolve_derived(
        [one for item in {primary, *colour} for one in references.auxiliary.get(item, [])], references
    )
    scattered = [extents[item] for item in {*colour, *auxiliary} if len(extents.get(item, ())) > 1]
    if sum(len(extent) for item in scattered for extent in item) > len(content):  # they are copied, and may overlap
        raise struct.error
    stated = dict(_stated_pixels(content, inside[b"iprp"], chunks)) if b"iprp" in inside else {}

    def coded(item: int) -> CodedItem:
        found = extents.get(item, [])
        return CodedItem(found[0] if len(found) == 1 else b"".join(found), stated.get(item, 0))

    return [[coded(item) for item in colour], [coded(item) for item in auxiliary]]


def _resolve_derived(items: list[int], references: _References) -> list[int]:
    """Replace grids and other derived pictures by the pictures that they are derived from."""
    coded, seen, waiting = [], set(items), list(items)
    while waiting:
        item = waiting.pop()
        parts = references.derived_from.get(item)
        if parts is None:
            coded.append(item)
            continue
        waiting += set(parts) - seen
        seen.update(parts)
    return coded


def _read_references(content: bytes, iref: Box, chunks: ChunkLimit) -> _References:
    references = _References({}, {})
    number = "I" if content[iref.start] else "H"
    for box in boxes(content, iref.start + 4, iref.end, chunks):
        source, count = struct.unpack_from(f">{number}H", content, box.start)
        chunks.count(count)
        targets = struct.unpack_from(f">{count}{number}", content, box.start + struct.calcsize(f">{number}H"))
        if box.kind == b"dimg":
            references.derived_from.setdefault(source, []).extend(targets)
        elif box.kind == b"auxl":
            for target in targets:
                references.auxiliary.setdefault(target, []).append(source)
    return references


def _read_items(
    content: bytes, iloc: Box, idat: Box | None, chunks: ChunkLimit
) -> Iterator[tuple[int, list[memoryview]]]:
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
        chunks.count()
        item = number(wide)
        method = number(2) & 15 if version else _IN_FILE
        number(2)  # data_reference_index
        base = number(base_bytes) + (idat.start if method == _IN_IDAT and idat else 0)
        parts = []
        for _ in range(number(2)):
            chunks.count()
            number(index_bytes)
            start = base + number(offset_bytes)
            parts.append(whole[start : start + number(length_bytes)])
        yield item, parts


def _stated_pixels(content: bytes, iprp: Box, chunks: ChunkLimit) -> Iterator[tuple[int, int]]:
    """Yield number and stated pixels of every item that has a size (``ispe``)."""
    tables = {box.kind: box for box in boxes(content, iprp.start, iprp.end, chunks)}
    sizes = {}
    for index, box in enumerate(boxes(content, tables[b"ipco"].start, tables[b"ipco"].end, chunks), start=1):
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
        chunks.count()
        (item,), links = number.unpack_from(content, at), content[at + number.size]
        at += number.size + 1
        for _ in range(links):
            (index,) = property_index.unpack_from(content, at)
            at += property_index.size
            index &= 0x7FFF if is_wide else 0x7F  # the bit above it: whether a reader must know the property
            if index in sizes:
                yield item, sizes[index]


def _first_sample(content: bytes, track: Box, chunks: ChunkLimit) -> Stream:
    inside = track
    for kind in _TO_SAMPLES:
        found = [box for box in boxes(content, inside.start, inside.end, chunks) if box.kind == kind]
        if not found:
            return b""
        inside = found[0]
    tables = {box.kind: box for box in boxes(content, inside.start, inside.end, chunks)}
    wide = b"co64" in tables
    (start,) = struct.unpack_from(">Q" if wide else ">I", content, tables[b"co64" if wide else b"stco"].start + 8)
    of_all, _, of_first = struct.unpack_from(">III", content, tables[b"stsz"].start + 4)
    return memoryview(content)[start : start + (of_all or of_first)]
