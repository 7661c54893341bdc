"""The properties of the items of an AVIF or HEIC file: size, kind of an auxiliary image, and the part to show.

Box names are those of ISO/IEC 23008-12 (``ipco``, ``ipma``, ``ispe``, ``auxC``) and 14496-12 (``clap``).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from inference.decoding.color_profile import name_cicp, name_profile
from inference.decoding.formats.isobmff.boxes import boxes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.decoding.formats.isobmff.boxes import Box

_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")
_CLEAN_APERTURE = struct.Struct(
    ">IIIIiIiI"
)  # width, height, and the offset of the centre across and down, as fractions


class CleanAperture(NamedTuple):
    """The part of a picture to show, in pixels: its size, and how far its centre is from the picture's."""

    width: Fraction
    height: Fraction
    across: Fraction
    down: Fraction

    def is_inside(self, size: tuple[int, int]) -> bool:
        """Return whether the part lies within a picture of this size."""
        if not (box := self.crop_box(size)):
            return False
        left, top, right, bottom = box
        return right - left >= math.floor(self.width) and bottom - top >= math.floor(self.height)

    def crop_box(self, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
        """Return left, top, right and bottom of the part, as libheif does; ``None`` where nothing of it is inside.

        Args:
            size: Width and height of the picture, before it is turned.
        """
        left, right = _span(self.width, self.across, size[0])
        top, bottom = _span(self.height, self.down, size[1])
        return (left, top, right, bottom) if left < right and top < bottom else None


@dataclass(frozen=True, slots=True)
class Properties:
    """The properties by the number of their item.

    Attributes:
        sizes: Width and height in pixels.
        clean_apertures: The parts to show.
        alpha: The items that hold opacity.
        profiles: The names of colour profiles that differ from sRGB.
    """

    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    clean_apertures: dict[int, CleanAperture] = field(default_factory=dict)
    alpha: dict[int, bool] = field(default_factory=dict)
    profiles: dict[int, str] = field(default_factory=dict)


def read_properties(content: bytes, iprp: Box, chunks: ChunkLimit) -> Properties:
    """Read the properties that decide how a picture is decoded.

    Raises:
        struct.error, LookupError: The boxes are damaged.
    """
    tables = {box.kind: box for box in boxes(content, iprp.start, iprp.end, chunks)}
    found = Properties()
    tables_of_kinds = {
        b"ispe": (found.sizes, _read_size),
        b"clap": (found.clean_apertures, _read_clean_aperture),
        b"auxC": (found.alpha, _read_alpha),
        b"colr": (found.profiles, _name_colours),
    }
    inside = dict(enumerate(boxes(content, tables[b"ipco"].start, tables[b"ipco"].end, chunks), start=1))
    for item, index in _links(content, tables[b"ipma"], chunks):
        box = inside.get(index)
        if box and box.kind in tables_of_kinds:
            table, read = tables_of_kinds[box.kind]
            if (value := read(content, box)) is not None:
                table[item] = value  # type: ignore[index]  # each table has the type of its reader's values
    return found


def _links(content: bytes, ipma: Box, chunks: ChunkLimit) -> Iterator[tuple[int, int]]:
    """Yield the numbers of item and property of every link, properties from 1."""
    at = ipma.start
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
            # The bit above it says whether a reader must know the property.
            yield item, index & (0x7FFF if is_wide else 0x7F)


def _read_size(content: bytes, ispe: Box) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", content, ispe.start + 4)
    return width, height


def _read_alpha(content: bytes, aux_c: Box) -> bool | None:
    return content.startswith(_ALPHA, aux_c.start + 4) or None


def _name_colours(content: bytes, colr: Box) -> str | None:
    """Return the name that a box of colour information gives: an ICC profile, or code points."""
    kind = content[colr.start : colr.start + 4]
    if kind == b"nclx":
        primaries, transfer = struct.unpack_from(">HH", content, colr.start + 4)
        return name_cicp(primaries, transfer)
    return name_profile(content[colr.start + 4 : colr.end]) if kind in {b"prof", b"rICC"} else None


def _read_clean_aperture(content: bytes, clap: Box) -> CleanAperture | None:
    """Return the fractions; ``None`` for a denominator of 0 or an empty part, which every reader ignores."""
    numbers = _CLEAN_APERTURE.unpack_from(content, clap.start)
    if not all(numbers[1::2]):
        return None
    fractions = [Fraction(top, bottom) for top, bottom in zip(numbers[::2], numbers[1::2], strict=True)]
    return CleanAperture(*fractions) if fractions[0] > 0 and fractions[1] > 0 else None


def _span(length: Fraction, offset: Fraction, size: int) -> tuple[int, int]:
    """Return the first pixel of the part and the one behind it, within the picture; libheif rounds the last one."""
    centre = offset + Fraction(size - 1, 2)
    first = math.floor(centre - (length - 1) / 2)
    last = math.floor(centre + (length - 1) / 2 + Fraction(1, 2))
    return max(0, first), min(size, last + 1)
