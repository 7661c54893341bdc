"""The one thing an EXIF block is asked: how the camera was held.

Read by hand, the first directory only. A general reader copies what every tag points at, and a block of 64 KiB may hold
five thousand tags that all point at the same 60 KiB.
"""

from __future__ import annotations

import struct

UPRIGHT = 1
SWAPS_AXES = 5  # orientations from here on lie on their side
_LAST = 8
_TAG, _SHORT, _LONG = 0x0112, 3, 4  # EXIF 2.32, "Orientation"
_ENTRY_BYTES = 12
_BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}


def known(value: int) -> int:
    """Take an orientation that does not exist for upright."""
    return value if UPRIGHT <= value <= _LAST else UPRIGHT


def orientation(block: bytes) -> int | None:
    """Read the orientation, 1 to 8, out of an EXIF block with or without its ``Exif`` prefix.

    What does not exist counts as upright (1), as in every viewer. A block that is broken before its orientation, or
    has none, has nothing to say: ``None``.
    """
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
                return known(int(value)) if kind in {_SHORT, _LONG} and length == 1 else UPRIGHT
    except struct.error:  # it ends early
        pass
    return None
