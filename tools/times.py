"""Times as people type them: ``7d``, ``1h`` or ``30m`` ago, or ISO 8601. Durations: ``60s``, ``5m``."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_AGO = re.compile(r"(\d{1,6})([dhm])")
_DURATION = re.compile(r"([0-9]{1,6})([dhms])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def parse_time(text: str) -> datetime:
    """Read a time, for argparse's ``type``; aware UTC. ISO 8601 without an offset means UTC.

    Raises:
        argparse.ArgumentTypeError: It is neither.
    """
    return _read(text, lambda time: (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC))


def parse_wall_clock(text: str) -> datetime:
    """Read what a camera's clock displays, for argparse's ``type``; as if it were UTC. An offset is ignored.

    Raises:
        argparse.ArgumentTypeError: It is no time.
    """
    return _read(text, lambda time: time.replace(tzinfo=UTC))


def parse_duration(text: str) -> timedelta:
    """Read ``60s``, ``5m``, ``1h`` or ``1d``, for argparse's ``type``; more than 0.

    Raises:
        argparse.ArgumentTypeError: It is no such duration.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration: write 60s, 5m, 1h or 1d, more than 0")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _read(text: str, in_utc: Callable[[datetime], datetime]) -> datetime:
    ago = _AGO.fullmatch(text.strip().lower())
    try:
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return in_utc(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: write 7d, 1h or 30m (ago), or ISO 8601 such as 2026-11-20T12:00:00Z"
        ) from None
