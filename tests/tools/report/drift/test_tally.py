"""Counts by camera and week."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.tools.report.reports import outcome, page_about, thumbnail
from tools.report.drift.tally import ALL_CAMERAS, MAX_CAMERAS, Tally, camera_name, week_of

if TYPE_CHECKING:
    from storage.results.record import Record


def tally_of(*records: Record) -> Tally:
    tally = Tally()
    for record in records:
        tally.add(record)
    return tally


def photo(time: str, **changed: Any) -> Record:
    return outcome(f"site/{time}.jpg", taken_at=time, camera_serial="H500", **changed)


@pytest.mark.parametrize(
    ("taken_at", "monday"),
    [
        ("2026-01-05T00:00:00", date(2026, 1, 5)),
        ("2026-01-11T23:59:59.9+14:00", date(2026, 1, 5)),  # the camera's own day
        ("2025-12-31T12:00:00", date(2025, 12, 29)),
        ("no time", date(2026, 11, 16)),
        (None, date(2026, 11, 16)),
    ],
)
def test_a_week_is_that_of_the_capture_else_of_the_classification(taken_at: str | None, monday: date) -> None:
    classified_at = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)
    assert week_of(outcome("a.jpg", taken_at=taken_at, classified_at=classified_at)) == monday


def test_a_burst_counts_once_for_the_tests_and_whole_for_people() -> None:
    times = ["2026-05-14T06:31:00", "2026-05-14T06:31:59", "2026-05-14T06:32:58", "2026-05-14T06:33:58"]
    tally = tally_of(*(photo(time, score=0.5) for time in times), photo("2026-05-14T06:33:59", label="hare", score=1.0))
    for camera in (ALL_CAMERAS, ("H500",)):
        week = tally.cameras[camera][date(2026, 5, 11)]
        assert week.labels == {"fox": 4, "hare": 1}
        assert week.bursts.labels == {"fox": 2, "hare": 1}
        assert week.mean_score == pytest.approx(0.6)
        assert week.bursts.deviation() == pytest.approx(2 * (1 / 6) ** 2 + (1 / 3) ** 2)


def test_photos_without_a_capture_time_count_one_by_one() -> None:
    tally = tally_of(*(outcome(f"a{number}.jpg") for number in range(3)))
    assert tally.cameras[ALL_CAMERAS][date(2026, 11, 16)].bursts.labels == {"fox": 3}
    assert tally.by_capture == 0


def test_memory_is_bounded_by_the_number_of_cameras() -> None:
    tally = tally_of(*(outcome(f"site-{number}/a.jpg") for number in range(MAX_CAMERAS + 5)))
    assert len(tally.cameras) == MAX_CAMERAS + 1
    assert tally.uncounted == 5
    assert tally.cameras[ALL_CAMERAS][date(2026, 11, 16)].images == MAX_CAMERAS + 5


@pytest.mark.parametrize(
    ("camera", "name"),
    [
        (ALL_CAMERAS, "All cameras"),
        (("H500",), "H500"),
        (("HYPERFIRE", "site a"), "HYPERFIRE in site a"),
        (("", "site a"), "site a"),
        (("", ""), "the top folder"),
    ],
)
def test_names_of_cameras(camera: tuple[str, ...], name: str) -> None:
    assert camera_name(camera) == name


def test_the_page_shows_a_change_with_its_photos_and_marks_the_week() -> None:
    records = [
        photo(f"2026-0{month}-{day:02d}T{hour:02d}:{minute:02d}:00", label=label)
        for month, label in ((3, "empty"), (4, "<wolf>"))
        for day in (range(1, 29) if month == 3 else range(6, 7))
        for hour in range(8)
        for minute in (0, 20, 40)
    ]
    page = page_about(records, lambda _record: thumbnail())
    section = page[page.index('id="weeks"') : page.index('id="problems"')]
    assert "&lt;wolf&gt;" in section
    assert "<wolf>" not in section
    assert "100 %</strong> in the week from 2026-04-06" in section
    assert section.count('<span class="mark">differs</span>') == 1
    assert "2026-04-06T" in section, "the names of the photos that show it"
    assert "data:image/webp;base64," in section


def test_a_page_without_a_classified_image_has_no_weeks() -> None:
    assert 'id="weeks"' not in page_about([])
