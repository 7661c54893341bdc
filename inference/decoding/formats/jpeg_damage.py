"""Decides whether a JPEG that libjpeg remarks on is whole, cut or damaged, and how far down its picture is good.

This runs only for the few files with a remark. Each question is answered by an experiment:

- *Does the remark concern the picture?* The stream is reduced to what codes it: no application segments, no bytes
  between segments, no trailer, one end marker. What libjpeg does not remark on then is whole.
- *Are left-over bytes before a marker padding, or picture data that lost its place?* Damaged data shifts what follows,
  so the decoder finishes early or late. Padding is one repeated byte and is cut away. Other bytes count as picture data
  if they hold ``FF 00``, as coded data does every few hundred bytes, or if the picture has a visible break.
- *Where does the data end?* With other bytes before the end marker, only rows behind the end of the data change.
- *Where is the damage?* Damaged data decodes to something, often for thousands of bytes, so no decoder knows. But the
  blocks behind it lie in other places and have other brightness, so they do not continue the rows above. In a whole
  picture, the step from one row of pixels to the next is about as large across a border between coded units as inside
  them. The first border where it is far larger is taken for the place: an estimate, exact to a row of units in nine
  of ten cases. Zeros that look like lost sectors are located exactly, by decoding only the data before them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from inference.decoding.formats.jpeg_pixels import Colours, Remark, RemarkKind, decode_pixels
from inference.decoding.formats.jpeg_segments import END, MARKER, START_OF_SCAN
from inference.decoding.formats.refusals import corrupt
from inference.errors import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.decoding.formats.jpeg_segments import Segments

_OTHER_BYTES = bytes(pow(6, number, 251) for number in range(1, 1025))  # any bytes but 0xFF, which begins a marker
_BETWEEN_SCANS = frozenset({0xC4, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})
_RESTARTS = range(0xD0, 0xD8)
_MAX_ATTEMPTS = 24  # streams decoded for one file: padding before each of its scans

# The step across a border between coded units is at most 1.5 times the steps beside it in 15 of 17 photos, and 1.8
# times where a camera prints a band below the picture; at the border to damage it is 1.7 to 200 times (median 4).
_BREAK = 1.7
_CLEAR_BREAK = 2.5
_NOISE_LEVEL = 1.0  # of 255: added to the steps inside, so that rounding in a flat area is no break
_FLAT = 0.5  # below it there is no picture, but one colour behind the end of the data
_MAX_STEP = 180  # a break is many changed pixels, not a few very different ones
_MAX_EXAMINED_PIXELS = 2_000_000

_MIN_PADDING = 32  # bytes; fewer equal ones may be picture data
_MAX_LEFT_OVER = 4  # bytes before an end marker that are not padding: more is picture data that lost its place
_MAX_TABLES = 2048  # bytes of a segment between scans
_SECTOR = 512  # media lose whole ones
_ZEROS = bytes(1024)


class Damage(NamedTuple):
    """Why a picture is not whole.

    Attributes:
        reason: ``damaged`` or ``truncated``.
        good_rows: Stored rows from the top without a visible fault; 0 where there is none.
    """

    reason: Reason
    good_rows: int


class Diagnosis(NamedTuple):
    """The pixels that can be had, and the damage; ``None`` where the picture is whole."""

    pixels: NDArray[np.uint8]
    damage: Damage | None


def diagnose(content: bytes, segments: Segments, colours: Colours, scale: int) -> Diagnosis:
    """Examine a picture that libjpeg remarked on, or that holds a suspicious run of zeros.

    Raises:
        PermanentError: ``corrupt``: no picture can be decoded.
    """
    stream = _Stream(content, segments)
    for _ in range(_MAX_ATTEMPTS):
        pixels, remark = decode_pixels(stream.data, stream.size, colours, scale)
        if remark is None or not stream.remove(remark, colours):
            break
    if remark is not None and remark.kind is RemarkKind.FATAL:
        raise corrupt("the tables before its picture data contradict each other")
    damage = _find_damage(stream, remark, colours)
    return Diagnosis(pixels, damage)


def find_lost_sector(content: bytes | bytearray, start: int) -> int | None:
    """Return where picture data holds a run of zeros that looks like lost sectors, by place or by length.

    A flat area may be coded in zeros, too, so this is a reason to look for a visible break. It matters because the
    decoder may find its place again behind zeros by chance, without a remark.
    """
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


class _Stream:
    """What codes the picture, and nothing else: tables, frame, scans, one end marker.

    Attributes:
        data: The stream.
        size: The stated (width, height).
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
        self.data = bytearray(b"\xff\xd8")
        for start, end in segments.needed:
            self.data += _without_remarks(content[start:end], len(segments.sampling))
        scan = len(self.data)
        self._scans: list[int] = []
        self.has_several_scans = segments.has_several_scans
        missing: dict[int, list[int]] = {}  # bits of each of 64 coefficients, by component
        at = segments.scan
        self.is_cut_short = False
        end = self._walk(content, at, is_single=not segments.has_several_scans)
        self.is_closed = content.startswith(END, end)
        is_open = not self.is_closed and not self.is_cut_short
        self.is_last = is_open or not content[end + len(END) :].strip(b"\0\xff")
        self._scans = [offset - at + scan for offset in self._scans]
        lost = find_lost_sector(content, at)
        self.lost_sector = lost - at + scan if lost is not None and lost < end else None
        self.data += content[at:end]
        if not segments.is_progressive:
            self._state_whole_spectrum()
        for start in self._scans:
            _note_coded_bits(self.data[start + 4 : start + 18], missing)
        self.data += END
        self.lacks_scans = len(missing) < len(segments.sampling) or any(any(bits) for bits in missing.values())

    def _walk(self, content: bytes, at: int, *, is_single: bool) -> int:
        """Return the offset of the marker that ends the picture data, or of the segment in which the file ends."""
        while True:
            found = MARKER.search(content, at)
            if found is None:
                return len(content)
            start, code = found.end() - 2, content[found.end() - 1]
            at = found.end()
            if code == 0 or code in _RESTARTS:
                continue
            if code == START_OF_SCAN and not (is_single and self._scans):
                self._scans.append(start)
            elif is_single or code not in _BETWEEN_SCANS:
                self.is_cut_short = code != END[1]
                return start
            at += max(2, int.from_bytes(content[at : at + 2], "big"))
            if at > len(content):
                self.is_cut_short = len(content) - start > _MAX_TABLES
                return start

    def _state_whole_spectrum(self) -> None:
        """Correct the last bytes of sequential scan headers, which libjpeg remarks on and ignores."""
        for start in self._scans:
            length = int.from_bytes(self.data[start + 2 : start + 4], "big")
            end = start + 2 + length
            if length >= 6 and end <= len(self.data):
                self.data[end - 3 : end] = b"\x00\x3f\x00"

    def remove(self, remark: Remark, colours: Colours) -> bool:
        """Cut away what the remark is about if it does not code the picture, and return whether the stream changed."""
        if remark.kind is RemarkKind.FATAL and len(self._scans) > 1:
            self.is_cut_short = self.lacks_scans = True
            del self.data[self._scans.pop() : -2]
            return True
        if remark.kind is not RemarkKind.EXTRANEOUS:
            return False
        marker = bytes([0xFF, remark.marker])
        at = self.data.rfind(marker)
        while at > 0:
            if self._is_harmless(at - remark.extraneous, at, colours):
                del self.data[at - remark.extraneous : at]
                return True
            at = self.data.rfind(marker, 0, at) if remark.marker != END[1] else -1
        return False

    def _is_harmless(self, start: int, end: int, colours: Colours) -> bool:
        extra = self.data[start:end]
        if len(extra) >= _MIN_PADDING and extra.count(extra[:1]) == len(extra):
            # Padding, unless the picture consumed a part of it.
            return self.data[start - 8 : start] != extra[:1] * 8
        if end != len(self.data) - 2 or b"\xff\x00" in extra or (self.is_closed and len(extra) > _MAX_LEFT_OVER):
            return False
        threshold = _BREAK if self.is_closed else _CLEAR_BREAK
        return first_break(self, colours, threshold) is None and not has_seam(self, colours, threshold)


def _note_coded_bits(header: bytearray, missing: dict[int, list[int]]) -> None:
    """Note which bits of which coefficients a scan leaves to later scans (T.81, B.2.3)."""
    count = header[0] if header else 0
    if not 1 <= count <= (len(header) - 4) // 2:
        return
    first, last, bits = header[1 + 2 * count : 4 + 2 * count]
    for component in header[1 : 1 + 2 * count : 2]:
        coefficients = missing.setdefault(component, [1] * 64)
        coefficients[first : last + 1] = [bits & 15] * (last + 1 - first)


def _without_remarks(segment: bytes, components: int) -> bytes:
    """Correct an unknown version of JFIF, or an unknown colour transform of Adobe, to what libjpeg assumes for it."""
    if segment[1] == 0xE0:
        return segment[:9] + b"\x01" + segment[10:]
    if segment[1] == 0xEE and segment[15] > 2:
        return segment[:15] + bytes([2 if components == 4 else 1]) + segment[16:]
    return segment


def _find_damage(stream: _Stream, remark: Remark | None, colours: Colours) -> Damage | None:
    is_open = not stream.is_closed and not stream.is_cut_short
    is_unfinished = stream.lacks_scans and (is_open or stream.is_cut_short)
    lost = stream.lost_sector
    if remark is None and not is_unfinished and lost is None:
        return None
    rows = stream.size[1]
    data_end = _end_of_data(stream, colours)
    # Behind the end of the data one colour fills the picture: the border between them is no damage of its own.
    limit = rows if data_end is None else data_end - 2 * stream.unit_rows
    broken = first_break(stream, colours, _CLEAR_BREAK if is_open else _BREAK, limit)
    if remark is None and broken is None and not is_unfinished:
        return None
    # In the last scan other bytes at the end make a difference; in an earlier one data was lost inside.
    ends_early = remark is not None and remark.kind is RemarkKind.ENDS_EARLY
    if ends_early and data_end is None and stream.has_several_scans:
        ends_early = False
    elif ends_early and data_end is None:  # all of its restart intervals are complete, and some are missing
        data_end = first_break(stream, colours, _BREAK) or 0
    ended = ends_early or (remark is None and is_unfinished)
    is_plain_cut = broken is None and lost is None and stream.is_last and not stream.is_cut_short
    if ended and is_plain_cut and not (stream.is_closed and has_seam(stream, colours, _CLEAR_BREAK, limit)):
        return Damage(Reason.TRUNCATED, rows if data_end is None else data_end)
    if lost is not None and not stream.has_several_scans:
        return Damage(Reason.DAMAGED, _end_of_data(stream, colours, lost) or 0)
    if broken is None:
        broken = first_break(stream, colours, _BREAK) or most_visible_break(stream, colours)
    return Damage(Reason.DAMAGED, broken if data_end is None else min(broken, data_end))


def _end_of_data(stream: _Stream, colours: Colours, offset: int = -2) -> int | None:
    """Return the rows that the data before ``offset`` reaches to, in whole coded units; ``None`` for all rows."""
    before, scale = _examined_pixels(stream, colours)
    after, _ = decode_pixels(stream.data[:offset] + _OTHER_BYTES + END, stream.size, colours, scale)
    changed = np.flatnonzero((before != after).any(axis=(1, 2)))
    return int(changed[0]) * scale // stream.unit_rows * stream.unit_rows if len(changed) else None


def first_break(stream: _Stream, colours: Colours, threshold: float, limit: int | None = None) -> int | None:
    """Return the good rows above the first visible break, in whole coded units.

    Without a break, or if it is not above the row ``limit``, it is ``None``.
    """
    breaks = np.flatnonzero(_row_breaks(stream, colours) >= threshold)
    if len(breaks) == 0:
        return None
    # The row of units above the break may be the one in which the damage begins.
    good = int(breaks[0]) * stream.unit_rows
    return good if limit is None or good < limit else None


def most_visible_break(stream: _Stream, colours: Colours) -> int:
    """Return the good rows above the most visible break, however faint it is."""
    breaks = _row_breaks(stream, colours)
    return int(breaks.argmax()) * stream.unit_rows if len(breaks) else 0


def has_seam(stream: _Stream, colours: Colours, threshold: float, limit: int | None = None) -> bool:
    """Return whether a border between columns of units is visible, as where the edges of a shifted picture meet.

    Only the rows above ``limit`` are examined, if it is given.
    """
    pixels, scale = _examined_pixels(stream, colours)
    columns = pixels[: None if limit is None else max(0, limit // scale)].transpose(1, 0, 2)
    return columns.shape[1] > 0 and bool((_breaks(columns, stream.unit_columns // scale) >= threshold).any())


def _row_breaks(stream: _Stream, colours: Colours) -> NDArray[np.float64]:
    pixels, scale = _examined_pixels(stream, colours)
    return _breaks(pixels, stream.unit_rows // scale)


def _examined_pixels(stream: _Stream, colours: Colours) -> tuple[NDArray[np.uint8], int]:
    width, height = stream.size
    scale = next((scale for scale in (1, 2, 4) if width * height <= _MAX_EXAMINED_PIXELS * scale**2), 8)
    return decode_pixels(stream.data, stream.size, colours, scale)[0], scale


def _breaks(pixels: NDArray[np.uint8], unit: int) -> NDArray[np.float64]:
    """Compare the step across each border between rows of coded units with the steps beside it, inside the units.

    Args:
        pixels: Rows of pixels.
        unit: The rows of one coded unit.

    Returns:
        One ratio for each border, relative to the picture's usual ratio, which is above 1 where it is coded coarsely.
    """
    inside = (-1, 1) if unit == 2 else (-2, -1, 1, 2)
    borders = range(unit, len(pixels) - 2, unit)
    ratios = np.array(
        [
            _step(pixels, row) / (sum(_step(pixels, row + beside) for beside in inside) / len(inside) + _NOISE_LEVEL)
            for row in borders
        ]
    )
    usual = ratios[ratios > _FLAT]
    return ratios / np.median(usual) if len(usual) else ratios


def _step(pixels: NDArray[np.uint8], row: int) -> float:
    """Return how much a row of pixels differs from the row above it; 0 for the first."""
    if row < 1:
        return 0.0
    steps = np.abs(pixels[row].astype(np.int16) - pixels[row - 1]).sum(axis=1)
    return float(np.minimum(steps, _MAX_STEP).mean())
