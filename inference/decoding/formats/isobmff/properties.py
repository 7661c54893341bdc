"""The properties of the items of an AVIF or HEIC file: size, kind of an auxiliary image, and the part to show.

Box names are those of ISO/IEC 23008-12 (``ipco``, ``ipma``, ``ispe``, ``auxC``) and 14496-12 (``clap``).
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

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


class Properties(NamedTuple):
    """The properties by the number of their item.

    Attributes:
        sizes: Width and height in pixels.
        clean_apertures: The parts to show.
        alpha: The items that hold opacity.
    """

    sizes: dict[int, tuple[int, int]]
    clean_apertures: dict[int, CleanAperture]
    alpha: set[int]


def read_properties(content: bytes, iprp: Box, chunks: ChunkLimit) -> Properties:
    """Read the properties that decide how a picture is decoded.

    Raises:
        struct.error, LookupError: The boxes are damaged.
    """
    tables = {box.kind: box for box in boxes(content, iprp.start, iprp.end, chunks)}
    sizes, apertures, alpha = {}, {}, set()
    for index, box in enumerate(boxes(content, tables[b"ipco"].start, tables[b"ipco"].end, chunks), start=1):
        if box.kind == b"ispe":
            width, height = struct.unpack_from(">II", content, box.start + 4)
            sizes[index] = width, height
        elif box.kind == b"clap":
            apertures[index] = _read_clean_aperture(content, box.start)
        elif box.kind == b"auxC" and content.startswith(_ALPHA, box.start + 4):
            alpha.add(index)
    found = Properties({}, {}, set())
    for item, index in _links(content, tables[b"ipma"], chunks):
        if index in sizes:
            found.sizes[item] = sizes[index]
        elif index in alpha:
            found.alpha.add(item)
        elif aperture := apertures.get(index):
            found.clean_apertures[item] = aperture
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


def _read_clean_aperture(content: bytes, at: int) -> CleanAperture | None:
    """Return the fractions; ``None`` for a denominator of 0 or an empty part, which every reader ignores."""
    numbers = _CLEAN_APERTURE.unpack_from(content, at)
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
