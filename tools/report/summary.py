"""Sums for the report, computed in one pass over any number of records.

Memory grows with the number of labels, days and reasons, and by 16 bytes per image for exact percentiles.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING

from storage.results.record import Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from storage.results.record import Record

SCORE_BINS = 20
MAX_EXAMPLES = 100
"""Records kept per reason."""


@dataclass(slots=True)
class Label:
    """Images and scores of one label."""

    images: int = 0
    score_sum: float = 0.0

    @property
    def mean_score(self) -> float:
        """Mean probability in [0, 1]."""
        return self.score_sum / self.images


@dataclass(slots=True)
class Problem:
    """Rejected or failed images with one reason: all are counted, the first ``MAX_EXAMPLES`` kept."""

    status: Status
    reason: str
    images: int = 0
    examples: list[Record] = field(default_factory=list)


@dataclass(slots=True)
class Summary:
    """All numbers of the report. Not thread-safe.

    Attributes:
        statuses: Images by status.
        damaged: Classified images of which only a part was decoded.
        labels: Classified images by label.
        scores: Classified images per score bin; bins have equal width over [0, 1], the last includes 1.
        days: Per UTC day of ``classified_at``, classified images, and rejected or failed images.
        models: Images by model name and version.
        problems: By status and reason.
        queue_delays_ms: ``queue_delay_ms`` of every image that has one.
        durations_ms: ``duration_ms`` of every image that has one.
        first: Oldest ``classified_at``.
        last: Newest ``classified_at``.
    """

    statuses: Counter[Status] = field(default_factory=Counter)
    damaged: int = 0
    labels: dict[str, Label] = field(default_factory=dict)
    scores: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)
    days: dict[date, tuple[int, int]] = field(default_factory=dict)
    models: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: dict[tuple[Status, str], Problem] = field(default_factory=dict)
    queue_delays_ms: array[int] = field(default_factory=lambda: array("q"))
    durations_ms: array[int] = field(default_factory=lambda: array("q"))
    first: datetime | None = None
    last: datetime | None = None

    @property
    def images(self) -> int:
        """Number of records added."""
        return self.statuses.total()

    def add(self, record: Record) -> None:
        """Add one record."""
        self.statuses[record.status] += 1
        self.damaged += record.damaged
        self.models[record.model, record.model_version] += 1
        self._add_moment(record)
        if record.queue_delay_ms is not None:
            self.queue_delays_ms.append(record.queue_delay_ms)
        if record.duration_ms is not None:
            self.durations_ms.append(record.duration_ms)
        if record.status is Status.CLASSIFIED:
            self._add_label(record)
        else:
            reason = record.reason or "unknown"
            problem = self.problems.setdefault((record.status, reason), Problem(record.status, reason))
            problem.images += 1
            if len(problem.examples) < MAX_EXAMPLES:
                problem.examples.append(record)

    def _add_moment(self, record: Record) -> None:
        moment = record.classified_at
        self.first = min(self.first or moment, moment)
        self.last = max(self.last or moment, moment)
        good, bad = self.days.get(day := moment.astimezone(UTC).date(), (0, 0))
        is_good = record.status is Status.CLASSIFIED
        self.days[day] = (good + is_good, bad + (not is_good))

    def _add_label(self, record: Record) -> None:
        score = record.score or 0.0
        label = self.labels.setdefault(record.label or "", Label())
        label.images += 1
        label.score_sum += score
        self.scores[min(SCORE_BINS - 1, max(0, int(score * SCORE_BINS)))] += 1


def percentile(ordered: Sequence[int], share: float) -> int:
    """Return the smallest value that at least ``share`` of the values do not exceed (nearest-rank method).

    Args:
        ordered: Ascending, not empty.
        share: In (0, 1].
    """
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
