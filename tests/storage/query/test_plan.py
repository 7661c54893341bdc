"""The narrowest key ranges are chosen, and they hold the requested period exactly."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from storage import keys
from storage.query.plan import Filter, Kind, plan
from storage.results.record import Status
from tests.storage.samples import NOON

A_MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("parts", "kind", "in_index"),
    [
        ({"image": "a.jpg", "folder": "b", "label": "cat"}, Kind.POINT, False),
        ({"folder": "a", "label": "cat", "since": NOON}, Kind.RANGE, False),
        ({"label": "cat", "status": Status.CLASSIFIED}, Kind.RANGE, True),
        ({"status": Status.FAILED, "min_score": 0.5}, Kind.RANGE, True),
        ({"status": Status.REJECTED, "reason": "empty"}, Kind.RANGE, True),
        ({"reason": "empty"}, Kind.RANGE, True),
        ({"until": NOON}, Kind.RANGE, True),
        ({"min_score": 0.5}, Kind.SCAN, False),
        ({"model": "shapes"}, Kind.SCAN, False),
        ({}, Kind.SCAN, False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_the_narrowest_keys_are_read(parts: dict[str, Any], kind: Kind, *, in_index: bool) -> None:
    chosen = plan(Filter("incoming", **parts))
    assert (chosen.kind, chosen.in_index) == (kind, in_index)


@pytest.mark.parametrize(
    ("parts", "first_partition"),
    [
        ({"label": "cat", "taken_since": NOON, "taken_until": NOON + timedelta(days=1)}, "taken|"),
        ({"status": Status.CLASSIFIED, "taken_since": NOON, "taken_until": NOON + timedelta(days=1)}, "taken|"),
        ({"label": "cat", "taken_since": NOON}, "label|"),
        ({"status": Status.CLASSIFIED, "taken_until": NOON}, "status|"),
        ({"camera": "HC600", "taken_since": NOON}, "taken|"),
        ({"reason": "empty", "taken_until": NOON}, "taken|"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_a_period_of_capture_with_both_ends_is_read_before_a_label(parts: dict[str, Any], first_partition: str) -> None:
    streams = plan(Filter("incoming", **parts)).streams
    assert all(span.first_partition.startswith(first_partition) for (span,) in streams)
    assert len(streams) == 1


@pytest.mark.parametrize(
    ("since", "until"),
    [(None, None), (NOON, None), (None, NOON), (NOON - timedelta(hours=1), NOON), (NOON - timedelta(days=9), NOON)],
    ids=["always", "since", "until", "within a day", "over many days"],
)
def test_index_ranges_hold_the_period_and_nothing_else(since: datetime | None, until: datetime | None) -> None:
    """Key ranges alone decide about time: an hour of a busy day does not read the whole day."""
    ((*spans,),) = plan(Filter("incoming", label="cat", since=since, until=until)).streams
    times = [NOON + timedelta(hours=hours) for hours in range(-24 * 12, 24 * 3)]
    times += [bound + shift for bound in (since, until) if bound for shift in (-A_MICROSECOND, timedelta(0))]
    for time in times:
        partition, row = keys.index_partition("label", "cat", time), keys.index_row_key("incoming", "a.jpg", time)
        holding = [
            span
            for span in spans
            if span.first_partition <= partition <= span.last_partition
            and (span.first_row is None or span.last_row is None or span.first_row <= row <= span.last_row)
        ]
        in_period = (since is None or time >= since) and (until is None or time < until)
        assert len(holding) == in_period, time
