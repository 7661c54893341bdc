"""Finds the bytes of an AVIF or HEIC file that hold its picture: items of the ``meta`` box, or first samples of tracks.

Box names are those of ISO/IEC 14496-12 (``iinf``, ``iloc``, ``iref``, ``pitm``, ``stco``, ``stsz``) and 23008-12
(``ipma``, ``ispe``, ``clap``, ``dimg``, ``auxl``).
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple

from inference.decoding.formats.isobmff.boxes import boxes, find_cut_box
from inference.decoding.formats.isobmff.properties import Properties, read_properties
from inference.decoding.formats.refusals import corrupt, truncated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.decoding.formats.isobmff.boxes import Box
    from inference.decoding.formats.isobmff.properties import CleanAperture

Stream = bytes | memoryview

_TO_SAMPLES = (b"mdia", b"minf", b"stbl")
_IN_FILE, _IN_IDAT = 0, 1  # construction methods


class CodedItem(NamedTuple):
    """A coded stream.

    Attributes:
        stream: Its bytes, as far as they are in the file.
        stated_pixels: The pixels that its ``ispe`` box states; 0 where it has none.
        kind: The type of the item or sample, such as ``hvc1`` or ``av01``; empty where none is stated.
        is_whole: Whether all its bytes are in the file.
    """

    stream: Stream
    stated_pixels: int
    kind: bytes
    is_whole: bool


class CodedPicture(NamedTuple):
    """The coded parts of one picture.

    Attributes:
        colours: One stream, or several where the picture is cut into tiles.
        alpha: Those of its opacity.
        others: Those of its depth and other auxiliary images, which are not decoded.
        size: Its width and height in pixels, before anything is cut off; zeros where none is stated.
        clean_aperture: The part to show; ``None`` for all of it.
        color_profile: The name of a colour profile that differs from sRGB.
    """

    colours: list[CodedItem]
    alpha: list[CodedItem]
    others: list[CodedItem]
    size: tuple[int, int]
    clean_aperture: CleanAperture | None
    color_profile: str | None

    @property
    def is_whole(self) -> bool:
        """Whether every byte of the colours and the opacity is in the file."""
        return bool(self.colours) and all(item.is_whole for item in (*self.colours, *self.alpha))


class Container(NamedTuple):
    """The pictures of a file.

    Attributes:
        primary: The still picture; ``None`` where the file names none.
        first_samples: The first sample of each track.
    """

    primary: CodedPicture | None
    first_samples: list[CodedItem]

    @property
    def layers(self) -> list[list[CodedItem]]:
        """The streams that are decoded together, layer by layer."""
        pictures = [self.primary] if self.primary else []
        stills = [layer for picture in pictures for layer in (picture.colours, [*picture.alpha, *picture.others])]
        return stills + [[sample] for sample in self.first_samples]


class _References(NamedTuple):
    derived_from: dict[int, list[int]]  # a grid -> its tiles
    auxiliary: dict[int, list[int]]  # a picture -> its alpha, depth ...


class _Extents(NamedTuple):
    parts: list[memoryview]
    is_whole: bool


def check_whole(content: bytes, container: Container, chunks: ChunkLimit, *, is_sequence: bool = False) -> None:
    """Check that every byte of the picture that is decoded is in the file; what lies behind it may be cut.

    Args:
        content: The whole file.
        container: Its pictures.
        chunks: Bounds the boxes that are visited.
        is_sequence: Whether the first samples of the tracks are decoded, not the primary picture.

    Raises:
        PermanentError: ``truncated``.
    """
    cut = find_cut_box(content, chunks)
    if cut and cut.kind not in {b"mdat", b"moov", b"moof"}:
        raise cut.refusal(content)
    samples = container.first_samples
    has_samples = bool(samples) and all(sample.is_whole for sample in samples)
    is_whole = has_samples if is_sequence else container.primary is not None and container.primary.is_whole
    if cut and not is_whole:
        raise cut.refusal(content)
    if container.primary and not is_sequence and not is_whole:
        raise truncated(content, "its picture lies behind the end")


def read_container(content: bytes, chunks: ChunkLimit) -> Container:
    """Read where the primary picture and the first picture of each track are.

    Raises:
        PermanentError: ``corrupt``: the items lie outside of the file; ``too_many_frames``: there are too many boxes.
    """
    primary, first_samples = None, []
    try:
        for box in boxes(content, 0, len(content), chunks):
            if box.kind == b"meta":
                primary = _primary_picture(content, box, chunks)
            elif box.kind == b"moov":
                tracks = (track for track in boxes(content, box.start, box.end, chunks) if track.kind == b"trak")
                first_samples += [_first_sample(content, track, chunks) for track in tracks]
    except (struct.error, LookupError) as error:
        raise corrupt("its boxes do not state where its picture is") from error
    return Container(primary, first_samples)


def _primary_picture(content: bytes, meta: Box, chunks: ChunkLimit) -> CodedPicture | None:
    inside = {box.kind: box for box in boxes(content, meta.start + 4, meta.end, chunks)}
    if not {b"pitm", b"iloc"} <= inside.keys():
        return None
    wide = content[inside[b"pitm"].start]
    (primary,) = struct.unpack_from(">I" if wide else ">H", content, inside[b"pitm"].start + 4)
    references = _References({}, {})
    if b"iref" in inside:
        references = _read_references(content, inside[b"iref"], chunks)
    extents = dict(_read_items(content, inside[b"iloc"], inside.get(b"idat"), chunks))
    colours = _resolve_derived([primary], references)
    auxiliary = [one for item in dict.fromkeys((primary, *colours)) for one in references.auxiliary.get(item, [])]
    properties = read_properties(content, inside[b"iprp"], chunks) if b"iprp" in inside else Properties()
    alpha = _resolve_derived([item for item in auxiliary if item in properties.alpha], references)
    others = _resolve_derived([item for item in auxiliary if item not in properties.alpha], references)
    nothing = _Extents([], is_whole=True)
    scattered = [
        extents[item].parts for item in {*colours, *alpha, *others} if len(extents.get(item, nothing).parts) > 1
    ]
    if sum(len(part) for parts in scattered for part in parts) > len(content):  # they are copied, and may overlap
        raise struct.error
    kinds = dict(_read_kinds(content, inside[b"iinf"], chunks)) if b"iinf" in inside else {}

    def coded(items: list[int]) -> list[CodedItem]:
        found = [(item, extents.get(item, nothing)) for item in items]
        return [
            CodedItem(
                each.parts[0] if len(each.parts) == 1 else b"".join(each.parts),
                math.prod(properties.sizes.get(item, (0, 0))),
                kinds.get(item, b""),
                each.is_whole,
            )
            for item, each in found
        ]

    size, clean_aperture = properties.sizes.get(primary, (0, 0)), properties.clean_apertures.get(primary)
    profile = next((name for item in (primary, *colours) if (name := properties.profiles.get(item))), None)
    return CodedPicture(coded(colours), coded(alpha), coded(others), size, clean_aperture, profile)


def _read_kinds(content: bytes, iinf: Box, chunks: ChunkLimit) -> Iterator[tuple[int, bytes]]:
    """Yield number and type of every item."""
    count_bytes = 4 if content[iinf.start] else 2
    for box in boxes(content, iinf.start + 4 + count_bytes, iinf.end, chunks):
        number = struct.Struct(">I2x4s" if content[box.start] > 2 else ">H2x4s")
        if box.kind == b"infe" and content[box.start] > 1:  # older versions have no type
            yield number.unpack_from(content, box.start + 4)


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


def _read_items(content: bytes, iloc: Box, idat: Box | None, chunks: ChunkLimit) -> Iterator[tuple[int, _Extents]]:
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
        parts, is_whole = [], True
        for _ in range(number(2)):
            chunks.count()
            number(index_bytes)
            start = base + number(offset_bytes)
            length = number(length_bytes)
            parts.append(whole[start : start + length])
            is_whole &= len(parts[-1]) == length or method not in {_IN_FILE, _IN_IDAT}
        yield item, _Extents(parts, is_whole)


def _first_sample(content: bytes, track: Box, chunks: ChunkLimit) -> CodedItem:
    inside = track
    for kind in _TO_SAMPLES:
        found = [box for box in boxes(content, inside.start, inside.end, chunks) if box.kind == kind]
        if not found:
            return CodedItem(b"", 0, b"", is_whole=False)
        inside = found[0]
    tables = {box.kind: box for box in boxes(content, inside.start, inside.end, chunks)}
    wide = b"co64" in tables
    (start,) = struct.unpack_from(">Q" if wide else ">I", content, tables[b"co64" if wide else b"stco"].start + 8)
    of_all, _, of_first = struct.unpack_from(">III", content, tables[b"stsz"].start + 4)
    length = of_all or of_first
    stream = memoryview(content)[start : start + length]
    kind = content[tables[b"stsd"].start + 12 :][:4] if b"stsd" in tables else b""
    return CodedItem(stream, 0, kind, is_whole=len(stream) == length)
