"""JPEG: segments up to the first scan, then entropy-coded data up to the end marker."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from inference.decoding.formats.chunk_limit import Pieces, corrupt, truncated
from inference.errors import PermanentError, Reason

_MARKER = re.compile(rb"\xff+[^\xff]")
_END = b"\xff\xd9"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # ITU-T T.81, table B.1
_PROGRESSIVE_FRAMES = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_MAX_JUNK_BYTES = 65_536  # between JPEG segments; Pillow walks it byte by byte
_MAX_EXIF_SEGMENTS = 256  # 16 MiB; Pillow joins them in quadratic time


class Scan(NamedTuple):
    """The first scan: where its header stands, and whether others follow (progressive, or one for each channel)."""

    start: int
    is_one_of_several: bool


def first_scan(content: bytes) -> Scan:
    """Find the first scan of a JPEG that ``walk_jpeg`` has passed."""
    return _find_scan(content, Pieces(len(content)))


def count_scans(content: bytes) -> int:
    """Count the scans of a JPEG that ``walk_jpeg`` has passed; decoding goes over the whole picture in each of them."""
    scan = first_scan(content)
    if not scan.is_one_of_several:
        return 1
    # Entropy-coded data cannot hold these two bytes.
    return 1 + content.count(b"\xff\xda", scan.start, content.find(_END, scan.start))


def walk_jpeg(content: bytes, pieces: Pieces) -> int:
    """Check that a scan begins and that an end marker follows."""
    if content.rfind(_END, _find_scan(content, pieces).start) < 0:
        raise truncated(content, "the end-of-image marker is missing")
    return 1


def _find_scan(content: bytes, pieces: Pieces) -> Scan:
    at = 2
    components, progressive = 0, False
    junk = exif_segments = marker = start = 0
    while marker != 0xDA:  # start of scan
        pieces.count()
        marker_at = _next_marker(content, at)
        junk += marker_at - at - 1
        if junk > _MAX_JUNK_BYTES:
            raise corrupt(f"{junk:,} bytes of junk stand between its segments")
        marker = content[marker_at]
        at = marker_at + 1
        if marker == 0xD9:
            raise corrupt("it ends before any picture data")
        if marker in {0x00, 0x01} or 0xD0 <= marker <= 0xD8:
            continue
        (length,) = struct.unpack_from(">H", content, at)
        if marker == 0xE1 and content[at + 2 : at + 6] == b"Exif":
            exif_segments += 1
            if exif_segments > _MAX_EXIF_SEGMENTS:
                raise PermanentError(
                    Reason.DECOMPRESSION_BOMB, f"The file carries more than {_MAX_EXIF_SEGMENTS} EXIF segments."
                )
        if marker in _FRAMES:
            progressive = marker in _PROGRESSIVE_FRAMES
            components = content[at + 7]
        start, at = at, at + max(length, 2)
    return Scan(start, progressive or content[start + 2] < components)


def _next_marker(content: bytes, at: int) -> int:
    """Find the code of the next marker; any number of 0xFF may stand before it."""
    marker = _MARKER.search(content, at)
    if marker is None:
        raise truncated(content, "no picture data begins")
    return marker.end() - 1
