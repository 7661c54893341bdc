"""Finds the EXIF block of a photo that lies elsewhere, by reading a few ranges of its bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

RANGE_BYTES = 64 * 1024
"""Of one request. Most EXIF blocks begin within the first kilobyte, and a JPEG's ends within the first 64 KiB."""
MAX_RANGES = 8
"""Requests for one photo. A photo whose block is not found by then counts as one without a block."""

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_APP1, _STANDALONE, _START_OF_SCAN, _END = 0xE1, range(0xD0, 0xD9), 0xDA, 0xD9
_PREFIX = b"Exif\0\0"


class TooManyRangesError(Exception):
    """The block does not lie within the bytes that may be read."""


def find_exif(read: Callable[[int, int], bytes]) -> bytes | None:
    """Return the EXIF block of a JPEG, PNG or WebP file; ``None`` where there is none within reach.

    In the other formats that carry EXIF (TIFF, AVIF, HEIC) its place is not fixed.

    Args:
        read: Returns the bytes from an offset on, as many as asked for or up to the file's end. Its errors are raised.
    """
    window = _Window(read)
    start = window.get(0, 12)
    try:
        if start.startswith(_JPEG):
            return _in_jpeg(window)
        if start.startswith(_PNG):
            return _in_chunks(window, len(_PNG), ">I4s", 4, b"eXIf")
        if start.startswith(b"RIFF") and start.endswith(b"WEBP"):
            return _in_chunks(window, 12, "<4sI", 0, b"EXIF")
    except (TooManyRangesError, struct.error):  # the file ends in the middle of a header
        pass
    return None


class _Window:
    """The bytes read last, and a limit on the number of reads."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        self._read = read
        self._start, self._bytes = 0, b""
        self._reads = 0

    def get(self, at: int, length: int) -> bytes:
        """Return the bytes of a place; fewer at the end of the file."""
        if not (self._start <= at and at + length <= self._start + len(self._bytes)):
            if self._reads == MAX_RANGES:
                raise TooManyRangesError
            self._reads += 1
            self._start, self._bytes = at, self._read(at, max(length, RANGE_BYTES))
        return self._bytes[at - self._start : at - self._start + length]


def _in_jpeg(window: _Window) -> bytes | None:
    """Walk the segments up to the first scan. A block of several segments is joined, as the decoder does."""
    at, found = 2, b""
    while True:
        marker, code = struct.unpack(">BB", window.get(at, 2))
        if marker != 0xFF or code in (_START_OF_SCAN, _END):
            return found or None
        if code == 0xFF or code in _STANDALONE:
            at += 1 if code == 0xFF else 2
            continue
        (length,) = struct.unpack(">H", window.get(at + 2, 2))
        if code == _APP1 and window.get(at + 4, len(_PREFIX)).startswith(b"Exif"):
            body = window.get(at + 4, max(0, length - 2))
            found += body[len(_PREFIX) :] if found else body
        at += 2 + max(length, 2)


def _in_chunks(window: _Window, at: int, header: str, checksum: int, expected: bytes) -> bytes | None:
    """Walk the chunks of a PNG (the length first) or a WebP (the name first, and an even number of bytes)."""
    while True:
        one, other = struct.unpack(header, window.get(at, 8))
        name, length = (one, other) if isinstance(one, bytes) else (other, one)
        if name == expected:
            return window.get(at + 8, min(length, RANGE_BYTES * 4)) or None
        at += 8 + length + (checksum or length % 2)
