"""Schedules against the answers of the library that the Functions host reads them with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import ConfigurationError
from tools.devhost.timer_trigger.schedules import parse_schedule

if TYPE_CHECKING:
    from tools.devhost.timer_trigger.schedules import Schedule

RECORDED = json.loads((Path(__file__).parent / "ncrontab.json").read_text(encoding="utf-8"))
NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


def times(schedule: Schedule, moment: datetime, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count and (due := schedule(moment)):
        found.append(due.isoformat())
        moment = due
    return found


@pytest.mark.parametrize("expression", [text for text, due in RECORDED["next"].items() if due is not None])
def test_a_schedule_is_due_when_ncrontab_says_so(expression: str) -> None:
    after = datetime.fromisoformat(RECORDED["after"])
    assert times(parse_schedule(expression, "f"), after, 5) == RECORDED["next"][expression]


# The host does not give these to NCrontab with six fields.
FIVE_FIELDS = {"*/15 * * * *", "0 0 * * *"}
TIME_SPANS = {"00:15:00", "1.00:00:00", "01:00"}


READ_ANYWAY = FIVE_FIELDS | TIME_SPANS


@pytest.mark.parametrize(
    "expression", [text for text, due in RECORDED["next"].items() if due is None and text not in READ_ANYWAY]
)
def test_what_ncrontab_refuses_is_refused_with_the_functions_name(expression: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^f: the schedule"):
        parse_schedule(expression, "f")


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("*/15 * * * *", datetime(2026, 11, 20, 12, 15, 0, tzinfo=UTC)),
        ("0 0 * * *", datetime(2026, 11, 21, 0, 0, 0, tzinfo=UTC)),
        ("00:15:00", datetime(2026, 11, 20, 12, 15, 0, tzinfo=UTC)),
        ("1.00:00:00", datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)),
        ("01:00", datetime(2026, 11, 20, 13, 0, 0, tzinfo=UTC)),
        ("24:00:00", datetime(2026, 12, 14, 12, 0, 0, tzinfo=UTC)),
        ("2:00:00:00", datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)),
        ("1", datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)),
        ("00:00:00.5", datetime(2026, 11, 20, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("0 0 12 20 NOV *", datetime(2027, 11, 20, 12, 0, 0, tzinfo=UTC)),
        ("0 0 0 29 2 Mon", datetime(2044, 2, 29, 0, 0, 0, tzinfo=UTC)),
        ("0 0 0 * * S", datetime(2026, 11, 22, 0, 0, 0, tzinfo=UTC)),
    ],
    ids=str,
)
def test_when_a_schedule_is_next_due(schedule: str, due: datetime) -> None:
    assert parse_schedule(schedule, "f")(NOON) == due


@pytest.mark.parametrize("schedule", ["0 0 0 30 2 *", "0 0 0 31 4,6,9,11 *", "10000000"])
def test_a_schedule_may_never_be_due(schedule: str) -> None:
    assert parse_schedule(schedule, "f")(NOON) is None


@pytest.mark.parametrize("schedule", ["soon", "* * *", "00:00:00", "-00:01:00", "00:60:00", "1.24:00:00", "1.5"])
def test_what_is_neither_is_refused(schedule: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^f: the schedule"):
        parse_schedule(schedule, "f")


@given(st.lists(st.text("0123456789*,-/SMTWFJanuryed#L?", max_size=6), min_size=5, max_size=6).map(" ".join))
def test_no_expression_raises_anything_else(expression: str) -> None:
    try:
        schedule = parse_schedule(expression, "f")
    except ConfigurationError:
        return
    due = schedule(NOON)
    assert due is None or due > NOON
