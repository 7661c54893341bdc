"""Times with a zone, which Camtrap DP asks for and cameras hardly ever state."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])([01][0-9]|2[0-3]):?([0-5][0-9])")


def parse_zone(text: str) -> tzinfo:
    """Read ``+01:00``, ``Z``, ``UTC`` or a name such as ``Europe/Brussels``.

    Raises:
        ValueError: It is none of them; the message is a sentence.
    """
    if match := _OFFSET.fullmatch(text):
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    if text in {"Z", "UTC"}:
        return UTC
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # not found, a path, or a folder of names such as "Europe"
        raise ValueError(
            f"{text!r} is no time zone that this machine knows: write an offset such as +01:00, or a name such as "
            "Europe/Brussels"
        ) from None


def zoned(time: str, zone: tzinfo | None) -> datetime | None:
    """Read ISO 8601; a time without an offset gets the zone, and without a zone ``None`` is returned.

    Raises:
        ValueError: It is no time.
    """
    read = datetime.fromisoformat(time)
    if read.tzinfo is not None:
        return read
    return None if zone is None else read.replace(tzinfo=zone)


def written(time: datetime) -> str:
    """The form of the tables: ISO 8601 with an offset, in whole seconds."""
    return time.isoformat(timespec="seconds")
