"""How the eight orientations turn a picture, a size and a box, and back."""

from __future__ import annotations

from PIL import Image

from inference.decoding.exif import SWAPS_AXES

Box = tuple[float, float, float, float]  # left, top, right, bottom

# EXIF orientation -> what makes the stored pixels upright (EXIF 2.32, tag 0x0112).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Orientations whose upright left (top) edge was stored at the right or at the bottom.
_LEFT_WAS_RIGHT_OR_BOTTOM = frozenset({2, 3, 6, 7})
_TOP_WAS_RIGHT_OR_BOTTOM = frozenset({3, 4, 7, 8})


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Return the stored ``image`` upright; itself where it is."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def far_sides(orientation: int) -> tuple[bool, bool]:
    """Tell whether the stored right, and the stored bottom, is an upright left or top: where counting begins."""
    if orientation >= SWAPS_AXES:  # the stored right is an upright top or bottom
        return orientation in _TOP_WAS_RIGHT_OR_BOTTOM, orientation in _LEFT_WAS_RIGHT_OR_BOTTOM
    return orientation in _LEFT_WAS_RIGHT_OR_BOTTOM, orientation in _TOP_WAS_RIGHT_OR_BOTTOM


def swapped(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Turn a (width, height), either way."""
    return size if orientation < SWAPS_AXES else size[::-1]


def turned_box(box: Box, upright_size: tuple[int, int], orientation: int) -> Box:
    """Find a box of the stored image in the upright one.

    Args:
        box: In the stored image.
        upright_size: (width, height) of the upright image.
        orientation: EXIF orientation, 1 to 8.
    """
    if orientation >= SWAPS_AXES:
        box = box[1], box[0], box[3], box[2]
    return _mirrored(box, upright_size, orientation)


def stored_box(box: Box, upright_size: tuple[int, int], orientation: int) -> Box:
    """Find a box of the upright image in the stored one: the way back."""
    box = _mirrored(box, upright_size, orientation)
    return (box[1], box[0], box[3], box[2]) if orientation >= SWAPS_AXES else box


def _mirrored(box: Box, size: tuple[int, int], orientation: int) -> Box:
    left, top, right, bottom = box
    if orientation in _LEFT_WAS_RIGHT_OR_BOTTOM:
        left, right = size[0] - right, size[0] - left
    if orientation in _TOP_WAS_RIGHT_OR_BOTTOM:
        top, bottom = size[1] - bottom, size[1] - top
    return left, top, right, bottom
