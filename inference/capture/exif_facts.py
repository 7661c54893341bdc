"""Reads the capture facts that an EXIF block states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.capture.exif_tags import read_directories
from inference.capture.maker_notes import read_maker_note
from inference.capture.times import parse_exif_time
from inference.predictions import CaptureFacts

if TYPE_CHECKING:
    from inference.capture.exif_tags import Value

MAX_TEXT_LENGTH = 80
"""Characters that are kept of a text."""

# Tags of EXIF 3.0 (CIPA DC-008), with ExifTool's numbers for the serial number of DNG.
_MAKE, _MODEL, _DNG_SERIAL = 0x010F, 0x0110, 0xC62F
_MAKER_NOTE, _TEMPERATURE, _SERIAL = 0x927C, 0x9400, 0xA431
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _STATUS = 1, 2, 3, 4, 9
# Time, fraction of its second, offset: of the shot, else of its digitization. DateTime (0x0132) is left out: it is the
# time of the last change, which a program that turns or tags a photo sets.
_TIMES = ((0x9003, 0x9291, 0x9011), (0x9004, 0x9292, 0x9012))
_BLANK = frozenset(" :-/.0")  # EXIF writes an unknown time as blanks, and many cameras as zeros
_AIR = (-100.0, 100.0)  # degrees Celsius; outside, the sensor or the tag is broken


def read_capture_facts(block: object) -> CaptureFacts | None:
    """Read the facts of an EXIF block or a whole TIFF file. A broken block costs only the facts that it breaks.

    Args:
        block: Anything but bytes counts as an absent block.

    Returns:
        The facts; ``None`` where there are none.
    """
    if not isinstance(block, bytes) or not block:
        return None
    image, shot, position = read_directories(block)
    taken_at, refused = _taken_at(shot)
    make = _text(image.get(_MAKE))
    note = read_maker_note(shot[_MAKER_NOTE].data if _MAKER_NOTE in shot else b"", make or "")
    latitude, longitude = _location(position)
    facts = CaptureFacts(
        taken_at=taken_at,
        camera_make=make,
        camera_model=_text(image.get(_MODEL)),
        camera_serial=_text(shot.get(_SERIAL)) or _text(image.get(_DNG_SERIAL)) or one_line(note.serial) or None,
        temperature_c=_air(shot.get(_TEMPERATURE), note.temperature_c),
        latitude=latitude,
        longitude=longitude,
        impossible_time=refused,
    )
    return facts if any(value is not None for value in facts) else None


def one_line(text: str) -> str:
    """Return the text on one line, without characters that are not shown, and bounded; it may come from anyone."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(shown.split())[:MAX_TEXT_LENGTH].rstrip()


def _text(value: Value | None) -> str | None:
    return (one_line(value.text()) or None) if value else None


def _taken_at(shot: dict[int, Value]) -> tuple[str | None, str | None]:
    """Return the first possible time, and the text of the first impossible one if there is no other."""
    refused = None
    for time, fraction, offset in _TIMES:
        if time not in shot:
            continue
        text = shot[time].text()
        parts = (shot[tag].text() if tag in shot else "" for tag in (fraction, offset))
        if taken_at := parse_exif_time(text, *parts):
            return taken_at, None
        if refused is None and not set(text) <= _BLANK:
            refused = one_line(text) or None
    return None, refused


def _air(value: Value | None, noted: float | None) -> float | None:
    """The temperature of the tag, else of the maker note, if the air can have it."""
    stated = value.numbers() if value else []
    celsius = stated[0] if stated else noted
    return celsius if celsius is not None and _AIR[0] <= celsius <= _AIR[1] else None


def _location(position: dict[int, Value]) -> tuple[float, float] | tuple[None, None]:
    """Return signed decimal degrees; nothing where the receiver states that it has no position."""
    if _STATUS in position and position[_STATUS].text().strip() == "V":
        return None, None
    latitude = _degrees(position, _LATITUDE, _LATITUDE_REF, "NS", 90)
    longitude = _degrees(position, _LONGITUDE, _LONGITUDE_REF, "EW", 180)
    return (latitude, longitude) if latitude is not None and longitude is not None else (None, None)


def _degrees(position: dict[int, Value], tag: int, ref_tag: int, refs: str, limit: int) -> float | None:
    if tag not in position or ref_tag not in position:
        return None
    ref = position[ref_tag].text().strip().upper()
    parts = position[tag].numbers()
    if ref not in tuple(refs) or len(parts) != 3 or min(parts) < 0:
        return None
    degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
    if degrees > limit:
        return None
    return round(-degrees if ref == refs[1] else degrees, 7)  # a centimetre
