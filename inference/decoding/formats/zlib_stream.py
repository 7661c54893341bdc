"""The end of a zlib stream (RFC 1950), which PNG and TIFF share: a checksum behind the data."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PIECE_BYTES = 64 * 1024
_HEAD_BYTES = 2


def missing_checksum(pieces: Iterable[bytes]) -> bytes:
    """Return the bytes that a cut stream lacks of its checksum.

    Args:
        pieces: The stream, in pieces of at most ``PIECE_BYTES``; it is inflated piece by piece.

    Returns:
        At most four bytes; empty where the stream is whole, or lacks more than its checksum.

    Raises:
        zlib.error: The stream is damaged.
    """
    stream, found, checksum = zlib.decompressobj(wbits=-zlib.MAX_WBITS), b"", 1
    skip = _HEAD_BYTES
    for piece in pieces:
        coded, skip = piece[skip:], max(0, skip - len(piece))
        if stream.eof:
            found += coded
        while coded and not stream.eof:
            checksum = zlib.adler32(stream.decompress(coded, PIECE_BYTES), checksum)
            coded = stream.unconsumed_tail
        found = found or stream.unused_data
    return checksum.to_bytes(4)[len(found) :] if stream.eof else b""
