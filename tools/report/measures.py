"""Numbers as people say them: durations, shares, spans of days."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from tools.report.charts import Bar

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAILY = 92  # days that are still drawn one by one
_WEEKLY = 2 * 366
_SECOND_MS, _MINUTE_MS, _HOUR_MS, _DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000


def lasting(milliseconds: float) -> str:
    """A duration with as many digits as matter: ``85 ms``, ``1.4 s``, ``12 min``, ``5.1 h``, ``3.2 d``."""
    for unit, length, limit in (
        ("ms", 1, _SECOND_MS),
        ("s", _SECOND_MS, _MINUTE_MS),
        ("min", _MINUTE_MS, _HOUR_MS),
        ("h", _HOUR_MS, _DAY_MS),
    ):
        if milliseconds < limit:
            return f"{_short(milliseconds / length, whole=unit == 'ms')} {unit}"
    return f"{_short(milliseconds / _DAY_MS, whole=False)} d"


def share(part: int, whole: int) -> str:
    """A percentage that never claims all, or nothing, where that is not so."""
    if part in {0, whole}:
        return "100 %" if part else "0 %"
    percent = min(max(part / whole * 100, 0.1), 99.9)
    return f"{percent:.1f} %" if percent < 10 or percent > 90 else f"{percent:.0f} %"


def counted(number: int, noun: str) -> str:
    """``1 image``, ``12,000 images``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def periods(days: Mapping[date, tuple[int, int]]) -> tuple[str, list[Bar]]:
    """Bars without gaps from the first day to the last, by day, week or month as the span needs.

    Args:
        days: Classified, and rejected or failed, by day; not empty.

    Returns:
        The unit (``day``, ``week`` or ``month``), and its bars.
    """
    first, last = min(days), max(days)
    span = (last - first).days + 1
    units = ((_DAILY, "day", _day), (_WEEKLY, "week", _week), (span, "month", _month))
    unit, start = next((unit, start) for most, unit, start in units if span <= most)
    every = (first + timedelta(days=number) for number in range(span))
    bars = []
    for begin, group in groupby(every, start):
        ends = [days.get(day, (0, 0)) for day in group]
        good, bad = sum(end[0] for end in ends), sum(end[1] for end in ends)
        bars.append(Bar(f"{begin:%Y-%m}" if unit == "month" else begin.isoformat(), good + bad, bad))
    return unit, bars


def _day(day: date) -> date:
    return day


def _week(day: date) -> date:
    """The Monday before, or the day itself; never before the calendar begins."""
    return day - timedelta(days=min(day.weekday(), day.toordinal() - 1))


def _month(day: date) -> date:
    return day.replace(day=1)


def _short(value: float, *, whole: bool) -> str:
    return f"{value:.0f}" if whole or value >= 9.95 else f"{value:.1f}".removesuffix(".0")
