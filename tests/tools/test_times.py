"""Times that a person types."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

import pytest

from tools.times import parse_duration, parse_time, parse_wall_clock


@pytest.mark.parametrize(
    ("text", "ago"), [("7d", timedelta(days=7)), ("1h", timedelta(hours=1)), ("30M", timedelta(minutes=30))]
)
def test_a_time_may_be_relative_to_now(text: str, ago: timedelta) -> None:
    before = datetime.now(UTC)
    assert before <= parse_time(text) + ago <= datetime.now(UTC)


def test_a_time_without_an_offset_is_utc() -> None:
    assert parse_time("2026-11-20") == datetime(2026, 11, 20, tzinfo=UTC)
    assert parse_time("2026-11-20T12:00:00+02:00") == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_the_offset_of_a_camera_s_clock_is_ignored() -> None:
    assert parse_wall_clock("2024-05-02") == datetime(2024, 5, 2, tzinfo=UTC)
    assert parse_wall_clock("2024-05-02T01:00:00+10:00") == datetime(2024, 5, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "7", "999999d", "-1d"])
def test_any_other_text_is_refused_with_the_forms_to_write(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 7d, 1h or 30m"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "duration"),
    [("60s", timedelta(minutes=1)), (" 5M", timedelta(minutes=5)), ("1h", timedelta(hours=1)), ("2d", timedelta(2))],
)
def test_a_duration_has_a_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "60", "0s", "-5s", "1.5h", "1w", "1234567s"])
def test_any_other_duration_is_refused_with_the_forms_to_write(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 60s, 5m, 1h or 1d"):
        parse_duration(text)
