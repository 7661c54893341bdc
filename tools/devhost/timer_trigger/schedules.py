"""When a timer trigger is due: NCRONTAB expressions and time spans, read as the Functions host reads them.

The host reads expressions with NCrontab.Signed 3.4.0 (https://github.com/atifaziz/NCrontab), whose rules are not those
of cron: both day fields must match, ``5-1`` means ``1-5``, a step of 0 is a step of 1, and there is no ``L``, ``#``,
``?``, day 0 or Sunday 7. No Python library has these rules. ``ncrontab.json`` beside the tests has NCrontab's answers.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from inference.errors import ConfigurationError
from tools.devhost.host_json import time_span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    Schedule = Callable[[datetime], datetime | None]

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS_OF_WEEK = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_EXPECTED = "{second} {minute} {hour} {day} {month} {day of week}, or a time span hh:mm:ss"


class _Field(NamedTuple):
    lowest: int
    highest: int
    names: Sequence[str] = ()


_FIELDS = (
    _Field(0, 59),
    _Field(0, 59),
    _Field(0, 23),
    _Field(1, 31),
    _Field(1, 12, _MONTHS),
    _Field(0, 6, _DAYS_OF_WEEK),
)


def parse_schedule(text: str, function: str) -> Schedule:
    """Return a function from a moment to the next due time after it, or to None when there is none.

    Five fields are read as six with second 0. Anything else than five or six fields is read as a time span.

    Raises:
        ConfigurationError: It is neither NCRONTAB nor a time span; names the function.
    """
    words = [word for word in text.split(" ") if word]  # a tab does not separate fields
    try:
        if len(words) in (5, 6):
            return _ncrontab(["0"] * (6 - len(words)) + words)
        pause = timedelta(seconds=time_span(text))
    except (ValueError, OverflowError, ConfigurationError) as error:
        raise ConfigurationError(
            f"{function}: the schedule {text!r} is not one that the Functions host reads ({_EXPECTED})."
        ) from error
    if pause <= timedelta(0):
        raise ConfigurationError(f"{function}: the schedule {text!r} must be longer than nothing.")

    def after_pause(moment: datetime) -> datetime | None:
        try:
            return moment + pause
        except OverflowError:
            return None

    return after_pause


def _ncrontab(words: Sequence[str]) -> Schedule:
    seconds, minutes, hours, days, months, days_of_week = (
        _values(word, field) for word, field in zip(words, _FIELDS, strict=True)
    )
    times = [timedelta(hours=hour, minutes=minute, seconds=second)
             for hour in hours for minute in minutes for second in seconds]  # fmt: skip
    # The calendar repeats after 400 years: a schedule without a due time until then never has one.
    horizon = timedelta(days=146_097) if max(days) > 28 or len(days_of_week) < 7 else timedelta(days=366 * 2)

    def upcoming(moment: datetime) -> datetime | None:
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        end = midnight + horizon
        while midnight < end:
            if midnight.month not in months:
                midnight = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            # Python's week begins on Monday with 0, NCRONTAB's on Sunday.
            if midnight.day in days and (midnight.weekday() + 1) % 7 in days_of_week:
                later = bisect_right(times, moment - midnight)
                if later < len(times):
                    return midnight + times[later]
            midnight += timedelta(days=1)
        return None

    return upcoming


def _values(word: str, field: _Field) -> list[int]:
    """Return every value of one field in rising order; raise ``ValueError`` for what NCrontab refuses."""
    found: set[int] = set()
    for part in word.split(","):
        span, slash, step_text = part.partition("/")
        step = max(1, _whole(step_text)) if slash else 1
        first_text, dash, last_text = span.partition("-")
        if span == "*":
            first, last = field.lowest, field.highest
        else:
            first = _value(first_text, field)
            last = _value(last_text, field) if dash else field.highest if slash else first
        first, last = min(first, last), max(first, last)
        if first < field.lowest or last > field.highest:
            raise ValueError(part)
        found.update(range(first, last + 1, step))
    return sorted(found)


def _value(text: str, field: _Field) -> int:
    """Read a number, or the beginning of a name in any case: ``S`` is Sunday, ``Ju`` is June."""
    if text[:1].isascii() and text[:1].isdigit():
        return _whole(text)
    for number, name in enumerate(field.names, field.lowest):
        if text and name.lower().startswith(text.lower()):
            return number
    raise ValueError(text)


def _whole(text: str) -> int:
    """Read what .NET's ``int.Parse`` reads: an optional sign and digits."""
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):  # nothing longer is a useful step
        raise ValueError(text)
    return int(text)
