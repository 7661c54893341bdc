from __future__ import annotations

from datetime import UTC, datetime

import pytest

from inference.errors import ConfigurationError
from tools.devhost.timers import parse_schedule

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("0 0 * * * *", datetime(2026, 11, 20, 13, 0, 0, tzinfo=UTC)),
        ("*/10 * * * * *", datetime(2026, 11, 20, 12, 0, 10, tzinfo=UTC)),
        ("30 15 6 * * 1-5", datetime(2026, 11, 23, 6, 15, 30, tzinfo=UTC)),
        ("*/5 * * * *", datetime(2026, 11, 20, 12, 5, 0, tzinfo=UTC)),
        ("00:00:45", datetime(2026, 11, 20, 12, 0, 45, tzinfo=UTC)),
    ],
    ids=["hourly", "seconds-come-first", "working-days", "five-fields", "time-span"],
)
def test_when_a_schedule_is_next_due(schedule: str, due: datetime) -> None:
    assert parse_schedule(schedule, "f")(NOON) == due


@pytest.mark.parametrize("schedule", ["", "soon", "61 * * * * *", "* * *", "00:00:00", "* * * * * * *"])
def test_what_is_no_schedule_is_refused_with_the_functions_name(schedule: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^f: the schedule"):
        parse_schedule(schedule, "f")
