"""Times as people type them: ``7d``, ``1h`` or ``30m`` ago, or ISO 8601."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(\d{1,6})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def parse_time(text: str) -> datetime:
    """Read a time, for argparse's ``type``; aware UTC. ISO 8601 without an offset means UTC.

    Raises:
        argparse.ArgumentTypeError: It is neither.
    """
    ago = _AGO.fullmatch(text.strip().lower())
    try:
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        time = datetime.fromisoformat(text.strip())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: write 7d, 1h or 30m (ago), or ISO 8601 such as 2026-11-20T12:00:00Z"
        ) from None
