"""Decides whether a suspicious JPEG is whole, cut or damaged, and how far down its picture is good.

Each question is answered by an experiment. Only the last one concerns a picture without a remark of libjpeg:

- *Does the remark concern the picture?* The file is reduced to what codes the picture (``jpeg_stream``). What libjpeg
  does not remark on then is whole.
- *Are left-over bytes before a marker padding, or picture data that lost its place?* Damaged data shifts what follows,
  so the decoder finishes early or late. Padding is one repeated byte and is cut away. Other bytes count as picture data
  if they hold ``FF 00``, as coded data does every few hundred bytes, or if the picture has a visible break.
- *Where does the data end?* With other bytes before the end marker, only rows behind the end of the data change.
- *Where is the damage?* The first border between rows of coded units where the picture visibly breaks (``jpeg_breaks``)
  is taken for the place: an estimate, exact to a row of units in nine of ten cases. Zeros that look like lost sectors
  are located exactly, by decoding only the data before them.
- *Is a picture damaged that libjpeg does not remark on?* An even step of brightness is a reason to look for colours
  that do not exist (``jpeg_colours``).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from inference.decoding.formats.jpeg_breaks import breaks, find_steps
from inference.decoding.formats.jpeg_colours import first_impossible_row
from inference.decoding.formats.jpeg_pixels import Colours, Remark, RemarkKind, decode_pixels
from inference.decoding.formats.jpeg_segments import END
from inference.decoding.formats.jpeg_stream import Stream, find_lost_sector, lacks_scans
from inference.decoding.formats.refusals import corrupt
from inference.errors import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.decoding.formats.jpeg_segments import Segments

_OTHER_BYTES = bytes(pow(6, number, 251) for number in range(1, 1025))  # any bytes but 0xFF, which begins a marker
_MAX_ATTEMPTS = 24  # streams decoded for one file: padding before each of its scans
_MAX_ATTEMPTED_PIXELS = 900_000_000  # three to five seconds

# The step across a border between coded units is at most 1.5 times the steps beside it in 15 of 17 photos, and 1.8
# times where a camera prints a band below the picture; at the border to damage it is 1.7 to 200 times (median 4).
_BREAK = 1.7
_CLEAR_BREAK = 2.5
_MAX_EXAMINED_PIXELS = 2_000_000

_MIN_PADDING = 32  # bytes; fewer equal ones may be picture data
_MAX_LEFT_OVER = 4  # bytes before an end marker that are not padding: more is picture data that lost its place


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


def has_sign_of_loss(content: bytes, segments: Segments) -> bool:
    """Return whether a file needs a diagnosis although libjpeg decodes it without a remark."""
    return find_lost_sector(content, segments.scan) is not None or lacks_scans(content, segments)


def diagnose(content: bytes, segments: Segments, colours: Colours, scale: int) -> Diagnosis:
    """Examine a picture that libjpeg remarked on, or that has a sign of loss.

    Raises:
        PermanentError: ``corrupt``: no picture can be decoded.
    """
    stream = Stream(content, segments)
    pixels, remark = decode_pixels(stream.data, stream.size, colours, scale)
    attempts = min(_MAX_ATTEMPTS, _MAX_ATTEMPTED_PIXELS // (segments.width * segments.height))
    for _ in range(attempts - 1):
        if remark is None or not _remove(stream, remark, colours):
            break
        del pixels  # before the next ones are made
        pixels, remark = decode_pixels(stream.data, stream.size, colours, scale)
    if remark is not None and remark.kind is RemarkKind.FATAL:
        raise corrupt("the tables before its picture data contradict each other")
    damage = _find_damage(stream, remark, colours)
    return Diagnosis(pixels, damage or find_offset(content, segments, pixels, scale))


def find_offset(content: bytes, segments: Segments, pixels: NDArray[np.uint8], scale: int) -> Damage | None:
    """Return the damage behind which a picture has another brightness, and colours that do not exist.

    Args:
        content: The file.
        segments: Its segments.
        pixels: The picture, divided by ``scale`` in both axes.
        scale: 1, 2, 4 or 8.
    """
    unit_rows = 8 * segments.largest_sampling[1]
    steps = find_steps(pixels, unit_rows // scale)
    if not len(steps):
        return None
    impossible = first_impossible_row(content, segments)
    if impossible is None:
        return None
    # The row of units above the step may be the one in which the damage begins.
    return Damage(Reason.DAMAGED, min(impossible, int(steps[0] - 1) * unit_rows))


def _remove(stream: Stream, remark: Remark, colours: Colours) -> bool:
    """Cut away what the remark is about if it does not code the picture, and return whether the stream changed."""
    if remark.kind is RemarkKind.FATAL and len(stream.scans) > 1:
        stream.is_cut_short = stream.lacks_scans = True
        del stream.data[stream.scans.pop() : -2]
        return True
    if remark.kind is not RemarkKind.EXTRANEOUS:
        return False
    marker = bytes([0xFF, remark.marker])
    at = stream.data.rfind(marker)
    while at > 0:
        if _is_harmless(stream, at - remark.extraneous, at, colours):
            del stream.data[at - remark.extraneous : at]
            return True
        at = stream.data.rfind(marker, 0, at) if remark.marker != END[1] else -1
    return False


def _is_harmless(stream: Stream, start: int, end: int, colours: Colours) -> bool:
    """Return whether the left-over bytes from ``start`` to ``end`` do not code the picture."""
    extra = stream.data[start:end]
    if len(extra) >= _MIN_PADDING and extra.count(extra[:1]) == len(extra):
        # Padding, unless the picture consumed a part of it.
        return stream.data[start - 8 : start] != extra[:1] * 8
    if end != len(stream.data) - 2 or b"\xff\x00" in extra or (stream.is_closed and len(extra) > _MAX_LEFT_OVER):
        return False
    threshold = _BREAK if stream.is_closed else _CLEAR_BREAK
    is_broken = (_row_breaks(stream, colours) >= threshold).any()
    return not is_broken and not _has_seam(stream, colours, threshold)


def _find_damage(stream: Stream, remark: Remark | None, colours: Colours) -> Damage | None:
    is_open = not stream.is_closed and not stream.is_cut_short
    is_unfinished = stream.lacks_scans
    lost = stream.lost_sector
    if remark is None and not is_unfinished and lost is None:
        return None
    rows = stream.size[1]
    data_end = _end_of_data(stream, colours)
    # Behind the end of the data one colour fills the picture: the border between them is no damage of its own.
    limit = rows if data_end is None else data_end - 2 * stream.unit_rows
    ratios = _row_breaks(stream, colours)
    broken = _first_break(ratios, stream.unit_rows, _CLEAR_BREAK if is_open else _BREAK, limit)
    if remark is None and broken is None and not is_unfinished:
        return None
    # In the last scan other bytes at the end make a difference; in an earlier one data was lost inside.
    ends_early = remark is not None and remark.kind is RemarkKind.ENDS_EARLY
    if ends_early and data_end is None and stream.has_several_scans:
        ends_early = False
    elif ends_early and data_end is None:  # all of its restart intervals are complete, and some are missing
        data_end = _first_break(ratios, stream.unit_rows, _BREAK) or 0
    ended = ends_early or (remark is None and is_unfinished)
    is_plain_cut = broken is None and lost is None and stream.is_last and not stream.is_cut_short
    if ended and is_plain_cut and not (stream.is_closed and _has_seam(stream, colours, _CLEAR_BREAK, limit)):
        return Damage(Reason.TRUNCATED, rows if data_end is None else data_end)
    if lost is not None and not stream.has_several_scans:
        return Damage(Reason.DAMAGED, _end_of_data(stream, colours, lost) or 0)
    if broken is None:
        most_visible = int(ratios.argmax()) * stream.unit_rows if len(ratios) else 0
        broken = _first_break(ratios, stream.unit_rows, _BREAK) or most_visible
    return Damage(Reason.DAMAGED, broken if data_end is None else min(broken, data_end))


def _end_of_data(stream: Stream, colours: Colours, offset: int = -2) -> int | None:
    """Return the rows that the data before ``offset`` reaches to, in whole coded units; ``None`` for all rows."""
    before, scale = _examined_pixels(stream, colours)
    rows_before = _checksums(before)
    del before  # one picture at a time
    cut = bytearray(memoryview(stream.data)[:offset])
    cut += _OTHER_BYTES + END
    after, _ = decode_pixels(cut, stream.size, colours, scale)
    changed = np.flatnonzero(rows_before != _checksums(after))
    return int(changed[0]) * scale // stream.unit_rows * stream.unit_rows if len(changed) else None


def _checksums(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return one number for each row."""
    return np.array([zlib.crc32(row) for row in pixels], np.uint32)


def _first_break(ratios: NDArray[np.float64], unit_rows: int, threshold: float, limit: int | None = None) -> int | None:
    """Return the good rows above the first visible break, in whole coded units.

    Without a break, or if it is not above the row ``limit``, it is ``None``.
    """
    visible = np.flatnonzero(ratios >= threshold)
    if len(visible) == 0:
        return None
    # The row of units above the break may be the one in which the damage begins.
    good = int(visible[0]) * unit_rows
    return good if limit is None or good < limit else None


def _has_seam(stream: Stream, colours: Colours, threshold: float, limit: int | None = None) -> bool:
    """Return whether a border between columns of units is visible, as where the edges of a shifted picture meet.

    Only the rows above ``limit`` are examined, if it is given.
    """
    pixels, scale = _examined_pixels(stream, colours)
    columns = pixels[: None if limit is None else max(0, limit // scale)].transpose(1, 0, 2)
    return columns.shape[1] > 0 and bool((breaks(columns, stream.unit_columns // scale) >= threshold).any())


def _row_breaks(stream: Stream, colours: Colours) -> NDArray[np.float64]:
    pixels, scale = _examined_pixels(stream, colours)
    return breaks(pixels, stream.unit_rows // scale)


def _examined_pixels(stream: Stream, colours: Colours) -> tuple[NDArray[np.uint8], int]:
    width, height = stream.size
    scale = next((scale for scale in (1, 2, 4) if width * height <= _MAX_EXAMINED_PIXELS * scale**2), 8)
    return decode_pixels(stream.data, stream.size, colours, scale)[0], scale
