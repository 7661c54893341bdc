"""The time of a photo, on the camera's clock.

It is a text, ``YYYY-MM-DDTHH:MM:SS[.fff][+HH:MM]``: cameras state the wall clock, rarely an offset, and no zone is
invented.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

# EXIF writes colons. Some cameras write dashes, slashes or dots, and some the T of ISO 8601.
_EXIF_TIME = re.compile(r"([0-9]{4})[:\-/.]([0-9]{2})[:\-/.]([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})")
_OFFSET = re.compile(r"([+-])([0-9]{2}):([0-5][0-9])")
_MAX_OFFSET_MINUTES = 14 * 60  # Line Islands
# A clock without battery starts here: DOS counts from 1980 and many cameras from midnight of 2000. Nothing digital was
# taken by 1970, where Unix counts from.
_LAST_YEAR_OF_NO_CAMERA = 1970
_DOS_EPOCH = "1980-01-01"
_CAMERA_EPOCH = "2000-01-01T00:00:"
_TOLERANCE = timedelta(hours=26)  # the clock of a camera far to the east is 14 hours ahead of UTC; and it may be wrong


def parse_exif_time(text: str, fraction: str = "", offset: str = "") -> str | None:
    """Return the time that EXIF states; ``None`` for one that is malformed or cannot be.

    Args:
        text: ``YYYY:MM:DD HH:MM:SS``.
        fraction: Digits behind the decimal point of the seconds (``SubSecTime``); anything else counts as absent.
        offset: From UTC, ``+HH:MM`` (``OffsetTime``); anything else counts as absent.
    """
    found = _EXIF_TIME.fullmatch(text.strip())
    if found is None:
        return None
    try:
        year, month, day, hour, minute, second = map(int, found.groups())
        moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - no zone is stated
    except ValueError:
        return None
    fraction = fraction.strip()
    digits = fraction if fraction.isascii() and fraction.isdigit() else ""
    return possible(moment, digits, _valid_offset(offset.strip()))


def possible(moment: datetime, fraction: str = "", offset: str = "") -> str | None:
    """Return the text of a time; ``None`` if no photo can have been taken then: a clock that was never set, the future.

    Args:
        moment: The wall clock, without zone.
        fraction: Digits behind the decimal point of the seconds; three are kept.
        offset: ``+HH:MM``, or empty.
    """
    text = moment.replace(microsecond=0).isoformat()
    if moment.year <= _LAST_YEAR_OF_NO_CAMERA or text.startswith((_DOS_EPOCH, _CAMERA_EPOCH)):
        return None
    if moment.replace(tzinfo=UTC) > datetime.now(UTC) + _TOLERANCE:
        return None
    return text + (f".{fraction[:3]:0<3}" if fraction else "") + offset


def _valid_offset(text: str) -> str:
    """The offset, or an empty text if it is none."""
    found = _OFFSET.fullmatch(text)
    if found is None or int(found[2]) * 60 + int(found[3]) > _MAX_OFFSET_MINUTES:
        return ""
    return text
