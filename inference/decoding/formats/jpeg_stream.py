"""What codes the picture of a JPEG, without the rest of the file, and whether all of its scans are there.

libjpeg remarks on much that has nothing to do with the picture. The stream holds no application segments, no bytes
between segments, no trailer, and one end marker: what libjpeg remarks on then concerns the picture.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from inference.decoding.formats.jpeg_segments import ADOBE, END, JFIF, START_OF_SCAN

if TYPE_CHECKING:
    from inference.decoding.formats.jpeg_segments import Segments

_MARKER_OF_SEGMENT = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # not coded data (FF 00), nor a restart marker
_BETWEEN_SCANS = frozenset({0xC4, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})
_MAX_TABLES = 2048  # bytes of a segment between scans
_SECTOR = 512  # media lose whole ones
_ZEROS = bytes(1024)


class Stream:
    """What codes the picture, and nothing else: tables, frame, scans, one end marker.

    Attributes:
        data: The stream.
        size: The stated (width, height).
        scans: The offset in ``data`` of each scan's header, where the picture may have several.
        has_several_scans: See ``Segments``.
        unit_columns: The pixel columns of one coded unit.
        unit_rows: The pixel rows of one coded unit.
        is_closed: Whether the file has the end marker where its picture data ends.
        is_cut_short: Whether the picture data ends at another marker, which does not belong there.
        is_last: Whether nothing but padding follows in the file.
        lacks_scans: Whether a component has no scan, or a coefficient lacks its last bits.
        lost_sector: The offset of zeros in ``data`` that look like lost sectors; ``None`` without any.
    """

    def __init__(self, content: bytes, segments: Segments) -> None:
        self.size = segments.width, segments.height
        self.unit_columns, self.unit_rows = (8 * factor for factor in segments.largest_sampling)
        self.has_several_scans = segments.has_several_scans
        self.data = bytearray(b"\xff\xd8")
        for start, end in segments.needed:
            self.data += _without_remarks(content[start:end], len(segments.sampling))
        moved = len(self.data) - segments.scan
        scans, end, self.is_cut_short = _find_scans(content, segments)
        self.is_closed = content.startswith(END, end)
        is_open = not self.is_closed and not self.is_cut_short
        self.is_last = is_open or not content[end + len(END) :].strip(b"\0\xff")
        self.scans = [offset + moved for offset in scans]
        lost = find_lost_sector(content, segments.scan)
        self.lost_sector = lost + moved if lost is not None and lost < end else None
        self.data += memoryview(content)[segments.scan : end]
        if not segments.is_progressive:
            self._state_whole_spectrum()
        self.data += END
        self.lacks_scans = _lacks_scans(self.data, self.scans, segments)

    def _state_whole_spectrum(self) -> None:
        """Correct the last bytes of sequential scan headers, which libjpeg remarks on and ignores."""
        for start in self.scans:
            length = int.from_bytes(self.data[start + 2 : start + 4], "big")
            end = start + 2 + length
            if length >= 6 and end <= len(self.data):
                self.data[end - 3 : end] = b"\x00\x3f\x00"


def lacks_scans(content: bytes, segments: Segments) -> bool:
    """Return whether the file ends before a component has a scan, or before a coefficient has its last bits.

    A progressive picture looks whole long before its last scan, and libjpeg has no remark on a file that was cut
    between two scans and closed.
    """
    if not segments.has_several_scans:
        return False
    scans, _, _ = _find_scans(content, segments)
    return _lacks_scans(content, scans, segments)


def find_lost_sector(content: bytes | bytearray, start: int) -> int | None:
    """Return where picture data holds a run of zeros that looks like lost sectors, by place or by length.

    A flat area may be coded in zeros, too, so this is a reason to look for a visible break. It matters because the
    decoder may find its place again behind zeros by chance, without a remark.
    """
    # Two samples in sequence lie in every such run. This is ten times as fast as a search, and no run is the rule.
    is_zero = np.frombuffer(content, np.uint8, offset=start)[:: len(_ZEROS) // 2] == 0
    if not (is_zero[1:] & is_zero[:-1]).any():
        return None
    at = content.find(_ZEROS, start)
    while at >= 0:
        begin, end = at, _end_of_run(content, at)
        while content[begin - 1] == 0:
            begin -= 1
        by_place = begin % _SECTOR == 0 or end % _SECTOR == 0 or end == len(content)
        if by_place or (end - begin) % _SECTOR <= 1:
            return begin if content.find(END, start, begin) < 0 else None
        at = content.find(_ZEROS, end)
    return None


def _end_of_run(content: bytes | bytearray, at: int) -> int:
    found = re.compile(rb"[^\0]").search(content, at)
    return found.start() if found else len(content)


def _find_scans(content: bytes, segments: Segments) -> tuple[list[int], int, bool]:
    """Return the offsets of the scans, the end of the picture data, and whether that end is a marker out of place.

    The end is the offset of the marker that ends the data, or of the segment in which the file ends.
    """
    scans: list[int] = []
    at = segments.scan
    while found := _MARKER_OF_SEGMENT.search(content, at):
        start, code = found.start(), content[found.start() + 1]
        if code == START_OF_SCAN and (segments.has_several_scans or not scans):
            scans.append(start)
        elif not segments.has_several_scans or code not in _BETWEEN_SCANS:
            return scans, start, code != END[1]
        at = start + 2 + max(2, int.from_bytes(content[start + 2 : start + 4], "big"))
        if at > len(content):
            return scans, start, len(content) - start > _MAX_TABLES
    return scans, len(content), False


def _lacks_scans(content: bytes | bytearray, scans: list[int], segments: Segments) -> bool:
    """Follow which bits of which coefficients each scan leaves to later scans (T.81, B.2.3)."""
    missing: dict[int, list[int]] = {}  # bits of each of 64 coefficients, by component
    for start in scans:
        header = content[start + 4 : start + 18]
        count = header[0] if header else 0
        if not 1 <= count <= (len(header) - 4) // 2:
            continue
        first, last, bits = header[1 + 2 * count : 4 + 2 * count] if segments.is_progressive else (0, 63, 0)
        for component in header[1 : 1 + 2 * count : 2]:
            coefficients = missing.setdefault(component, [1] * 64)
            coefficients[first : last + 1] = [bits & 15] * (last + 1 - first)
    return len(missing) < len(segments.sampling) or any(any(bits) for bits in missing.values())


def _without_remarks(segment: bytes, components: int) -> bytes:
    """Correct an unknown version of JFIF, or an unknown colour transform of Adobe, to what libjpeg assumes for it."""
    if segment[1] == JFIF:
        return segment[:9] + b"\x01" + segment[10:]
    if segment[1] == ADOBE and segment[15] > 2:
        return segment[:15] + bytes([2 if components == 4 else 1]) + segment[16:]
    return segment
