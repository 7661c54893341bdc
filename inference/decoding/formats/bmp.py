"""BMP: no parts to count, but one way of packing whose unpacker is slow."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from inference.decoding.formats.chunk_limit import Pieces

_COMPRESSION_AT = 30  # in the file, of every header of 40 bytes and more
_RUN_LENGTHS = frozenset({1, 2})  # BI_RLE8, BI_RLE4
_MAX_RUN_LENGTH_BYTES = 16 * 1024 * 1024  # Pillow unpacks them in Python, 7 MB a second, and lets no other thread run


def walk_bmp(content: bytes, pieces: Pieces) -> int:
    """Refuse run lengths by the dozen megabytes; a file that is too short is noticed by its decoder."""
    pieces.count()
    short = len(content) < _COMPRESSION_AT + 4 or content[14] < 40
    compression = 0 if short else struct.unpack_from("<I", content, _COMPRESSION_AT)[0]
    if compression in _RUN_LENGTHS and len(content) > _MAX_RUN_LENGTH_BYTES:
        raise PermanentError(
            Reason.TOO_MANY_BYTES,
            f"The file has {len(content):,} bytes of run lengths; the limit for those is {_MAX_RUN_LENGTH_BYTES:,}.",
        )
    return 1
