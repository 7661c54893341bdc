"""Formats names, counts, shares, durations and times for the report page."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from tools.terminal import printable

if TYPE_CHECKING:
    from datetime import datetime

_SECOND_MS, _MINUTE_MS, _HOUR_MS, _DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000


def display_text(text: str, max_length: int = 300) -> str:
    """Shorten a text and escape its invisible and direction-changing characters; HTML is not escaped here.

    Args:
        text: Blob name, label or message, possibly hostile.
        max_length: In characters, before escaping. A longer text loses its middle, which keeps the folder and the
            file extension visible.
    """
    if len(text) > max_length:
        text = f"{text[: max_length // 2]}…{text[-(max_length - max_length // 2 - 1) :]}"
    return text if text.isprintable() else printable(text)


def counted(number: int, noun: str) -> str:
    """Format a number with its noun: ``1 image``, ``12,000 images``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percentage(part: int, whole: int) -> str:
    """Format a share; 0 % and 100 % appear only when exact."""
    if part in {0, whole}:
        return "100 %" if part else "0 %"
    percent = min(max(part / whole * 100, 0.1), 99.9)
    return f"{percent:.1f} %" if percent < 10 or percent > 90 else f"{percent:.0f} %"


def duration(milliseconds: float) -> str:
    """Format a duration with at most two significant digits below 10: ``85 ms``, ``1.4 s``, ``12 min``, ``5.1 h``."""
    for unit, length, limit in (
        ("ms", 1, _SECOND_MS),
        ("s", _SECOND_MS, _MINUTE_MS),
        ("min", _MINUTE_MS, _HOUR_MS),
        ("h", _HOUR_MS, _DAY_MS),
    ):
        if milliseconds < limit:
            return f"{_short(milliseconds / length, whole=unit == 'ms')} {unit}"
    return f"{_short(milliseconds / _DAY_MS, whole=False)} d"


def minute(moment: datetime) -> str:
    """Format an aware datetime in UTC, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def _short(value: float, *, whole: bool) -> str:
    return f"{value:.0f}" if whole or value >= 9.95 else f"{value:.1f}".removesuffix(".0")
