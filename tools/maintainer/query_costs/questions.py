"""The questions of the measurement, each with a test of one result that shares nothing with ``storage.query``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from storage.results.record import Status
from tools.maintainer.query_costs.rows import START

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.results.record import Record


class Question(NamedTuple):
    """One query.

    Attributes:
        options: As for ``python -m tools query``.
        parts: The same for ``Filter``.
        matches: Whether a result belongs to the answer.
        goal: It has to take at most 3 + N / 1,000 requests for N rows.
    """

    options: str
    parts: dict[str, Any]
    matches: Callable[[Record], bool]
    goal: bool = True


def questions(some_image: str) -> list[Question]:
    """Return all questions.

    Args:
        some_image: The name of an image that exists.
    """
    day, next_day = START + timedelta(days=10), START + timedelta(days=11)
    late, early = START + timedelta(days=29), START + timedelta(days=1)
    may, june = datetime(2025, 5, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)
    folder = some_image.partition("/")[0]
    version = "9b6c1d7e4f20"

    def taken_in_may(each: Record) -> bool:
        return (each.taken_at or "").startswith("2025-05-")

    def on_day(each: Record) -> bool:
        return each.classified_at.date() == day.date()

    by_day = {"since": day, "until": next_day}
    in_may = {"taken_since": may, "taken_until": june}
    day_text = f"--since {day:%Y-%m-%d} --until {next_day:%Y-%m-%d}"
    may_text = "--taken-since 2025-05-01 --taken-until 2025-06-01"
    rejected = {"status": Status.REJECTED}
    return [
        Question("--label bear", {"label": "bear"}, lambda each: each.label == "bear"),
        Question("--label fox", {"label": "fox"}, lambda each: each.label == "fox"),
        Question("--label empty", {"label": "empty"}, lambda each: each.label == "empty"),
        Question("--status failed", {"status": Status.FAILED}, lambda each: each.status == "failed"),
        Question("--status classified", {"status": Status.CLASSIFIED}, lambda each: each.status == "classified"),
        Question(day_text, by_day, on_day),
        Question(f"--since {late:%Y-%m-%d}", {"since": late}, lambda each: each.classified_at >= late),
        Question(f"--until {early:%Y-%m-%d}", {"until": early}, lambda each: each.classified_at < early),
        Question(
            f"--label fox {day_text}", {"label": "fox", **by_day}, lambda each: each.label == "fox" and on_day(each)
        ),
        Question(
            f"--status rejected {day_text}", rejected | by_day, lambda each: each.status == "rejected" and on_day(each)
        ),
        Question(
            f"--label fox --status classified --since {late:%Y-%m-%d}",
            {"label": "fox", "status": Status.CLASSIFIED, "since": late},
            lambda each: each.label == "fox" and each.classified_at >= late,
        ),
        Question(
            "--label fox --min-score 0.95",
            {"label": "fox", "min_score": 0.95},
            lambda each: each.label == "fox" and (each.score or 0) >= 0.95,
        ),
        Question(may_text, in_may, taken_in_may),
        Question(
            f"--label fox {may_text}",
            {"label": "fox", **in_may},
            lambda each: each.label == "fox" and taken_in_may(each),
        ),
        Question(
            "--label fox --taken-since 2026-09-01",
            {"label": "fox", "taken_since": datetime(2026, 9, 1, tzinfo=UTC)},
            lambda each: each.label == "fox" and (each.taken_at or "") >= "2026-09",
        ),
        Question(
            f"--camera 'BUSHNELL Core DS' {may_text}",
            {"camera": "BUSHNELL Core DS", **in_may},
            lambda each: each.camera_make == "BUSHNELL" and taken_in_may(each),
        ),
        Question(
            f"--model {version} --label fox",
            {"model": version, "label": "fox"},
            lambda each: each.model_version == version and each.label == "fox",
        ),
        Question("--reason truncated", {"reason": "truncated"}, lambda each: each.reason == "truncated"),
        Question(
            "--status rejected --reason truncated",
            rejected | {"reason": "truncated"},
            lambda each: each.reason == "truncated",
        ),
        Question(f"--damaged {day_text}", {"damaged": True, **by_day}, lambda each: each.damaged and on_day(each)),
        Question(f"--folder '{folder}'", {"folder": folder}, lambda each: each.blob_name.startswith(f"{folder}/")),
        Question(f"--image '{some_image}'", {"image": some_image}, lambda each: each.blob_name == some_image),
        Question("--camera SN00005", {"camera": "SN00005"}, lambda each: each.camera_serial == "SN00005", goal=False),
        Question(f"--model {version}", {"model": version}, lambda each: each.model_version == version, goal=False),
        Question("--damaged", {"damaged": True}, lambda each: each.damaged, goal=False),
        Question("--min-score 0.999", {"min_score": 0.999}, lambda each: (each.score or 0) >= 0.999, goal=False),
        Question("", {}, lambda _: True, goal=False),
    ]
