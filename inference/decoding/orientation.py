"""The orientation of a stored image: its value, its geometry, and how it is read from EXIF and XMP.

Only the first directory of EXIF is parsed. A general reader copies the data of every tag, and a block of 64 KiB may
hold five thousand tags that all point at the same 60 KiB. XMP is searched, not parsed: a packet may be broken, or
megabytes long, and is still searched in one pass.
"""

from __future__ import annotations

import re
import struct
from enum import IntEnum

from PIL import Image

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels

_TAG, _SHORT, _LONG = 0x0112, 3, 4  # EXIF 2.32, "Orientation"
_ENTRY_BYTES = 12
_BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
_XMP = rb'tiff:Orientation(?:="|>)([0-9])'  # an attribute or an element, as Pillow's exif_transpose looks for it


class Orientation(IntEnum):
    """The EXIF orientation 1 to 8, named after the ``Image.Transpose`` that turns the stored image upright.

    Sizes are (width, height) in pixels.
    """

    UPRIGHT = 1
    FLIP_LEFT_RIGHT = 2
    ROTATE_180 = 3
    FLIP_TOP_BOTTOM = 4
    TRANSPOSE = 5
    ROTATE_270 = 6
    TRANSVERSE = 7
    ROTATE_90 = 8

    @property
    def swaps_axes(self) -> bool:
        """Whether the stored width is the upright height."""
        return self >= Orientation.TRANSPOSE

    @property
    def anchor_edges(self) -> tuple[bool, bool]:
        """Whether the stored right edge, and the stored bottom edge, is the upright image's left or top edge."""
        across, down = self in _MIRRORED_ACROSS, self in _MIRRORED_DOWN
        return (down, across) if self.swaps_axes else (across, down)

    def apply(self, image: Image.Image) -> Image.Image:
        """Return the stored ``image`` upright; the same object if it is upright already."""
        return image if self is Orientation.UPRIGHT else image.transpose(Image.Transpose[self.name])

    def swap(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the upright size of a stored size, or the stored size of an upright one."""
        return size[::-1] if self.swaps_axes else size

    def to_upright(self, box: Box, upright_size: tuple[int, int]) -> Box:
        """Convert a box of the stored image to the same box of the upright image."""
        return self._mirror(_transpose(box) if self.swaps_axes else box, upright_size)

    def to_stored(self, box: Box, upright_size: tuple[int, int]) -> Box:
        """Convert a box of the upright image to the same box of the stored image."""
        box = self._mirror(box, upright_size)
        return _transpose(box) if self.swaps_axes else box

    def _mirror(self, box: Box, size: tuple[int, int]) -> Box:
        left, top, right, bottom = box
        if self in _MIRRORED_ACROSS:
            left, right = size[0] - right, size[0] - left
        if self in _MIRRORED_DOWN:
            top, bottom = size[1] - bottom, size[1] - top
        return left, top, right, bottom


# Orientations whose upright left (or top) edge is stored at the right or at the bottom.
_MIRRORED_ACROSS = frozenset({2, 3, 6, 7})
_MIRRORED_DOWN = frozenset({3, 4, 7, 8})


def _transpose(box: Box) -> Box:
    return box[1], box[0], box[3], box[2]


def read_orientation(exif: object, xmp: object) -> Orientation:
    """Read the orientation from an EXIF block, or from an XMP packet if the block states none.

    Args:
        exif: The block, with or without its ``Exif`` prefix; anything but bytes counts as an absent block.
        xmp: The packet; anything but bytes counts as an absent packet.

    Returns:
        The stated orientation. It is upright if none is stated, or one that does not exist, as in all viewers.
    """
    stated = _exif_orientation(exif) if isinstance(exif, bytes) else None
    if stated is None and isinstance(xmp, bytes) and (found := re.search(_XMP, xmp)):
        stated = int(found[1])
    return Orientation(stated) if stated and stated <= len(Orientation) else Orientation.UPRIGHT


def _exif_orientation(block: bytes) -> int | None:
    """Return the tag's value: 0 if it is no number, ``None`` if the block has no tag or is broken before it."""
    start = 6 if block.startswith(b"Exif\0\0") else 0
    order = _BYTE_ORDERS.get(block[start : start + 4])
    if order is None:
        return None
    try:
        (directory,) = struct.unpack_from(order + "I", block, start + 4)
        (count,) = struct.unpack_from(order + "H", block, start + directory)
        first = start + directory + 2
        for at in range(first, first + count * _ENTRY_BYTES, _ENTRY_BYTES):
            tag, kind, length = struct.unpack_from(order + "HHI", block, at)
            if tag == _TAG:
                (value,) = struct.unpack_from(order + ("I" if kind == _LONG else "H"), block, at + 8)
                return int(value) if kind in {_SHORT, _LONG} and length == 1 else 0
    except struct.error:  # the block ends early
        pass
    return None
