"""Counts labels and scores by camera and week, in one pass over any number of records."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from storage.keys import wall_clock
from storage.query.events import camera_of

if TYPE_CHECKING:
    from storage.results.record import Record

Camera = tuple[str, ...]
"""As ``storage.query.events.camera_of`` gives it."""
ALL_CAMERAS: Camera = ()
"""Stands for all cameras together."""
MAX_CAMERAS = 1_000
"""Cameras that are counted on their own, in the order in which their first record comes."""


BURST = timedelta(minutes=1)
"""A photo that follows one of the same camera and label within this time belongs to its burst."""


@dataclass(slots=True)
class Bursts:
    """Bursts of photos of one camera and week. A burst shows one scene, so the tests count it once.

    Attributes:
        labels: Bursts by label.
        score_sum: Of the scores of each burst's first photo; they are in [0, 1].
        square_sum: Of their squares.
    """

    labels: Counter[str] = field(default_factory=Counter)
    score_sum: float = 0.0
    square_sum: float = 0.0

    @property
    def total(self) -> int:
        """How many there are."""
        return self.labels.total()

    @property
    def mean_score(self) -> float:
        """Mean score in [0, 1]."""
        return self.score_sum / self.total

    def add(self, label: str, score: float) -> None:
        """Count one burst."""
        self.labels[label] += 1
        self.score_sum += score
        self.square_sum += score * score

    def deviation(self) -> float:
        """Sum of the squared differences of the scores from their mean."""
        return max(0.0, self.square_sum - self.score_sum**2 / self.total) if self.labels else 0.0


@dataclass(slots=True)
class Week:
    """The classified images of one camera and week.

    Attributes:
        labels: Images by label.
        score_sum: Of their scores, which are in [0, 1].
        bursts: The same images by bursts.
    """

    labels: Counter[str] = field(default_factory=Counter)
    score_sum: float = 0.0
    bursts: Bursts = field(default_factory=Bursts)

    @property
    def images(self) -> int:
        """How many there are."""
        return self.labels.total()

    @property
    def mean_score(self) -> float:
        """Mean score in [0, 1]."""
        return self.score_sum / self.images

    def add(self, label: str, score: float, *, starts_burst: bool) -> None:
        """Count one image."""
        self.labels[label] += 1
        self.score_sum += score
        if starts_burst:
            self.bursts.add(label, score)


@dataclass(slots=True)
class Tally:
    """Counts of classified images. Memory grows with cameras, weeks and labels. Not thread-safe.

    Attributes:
        cameras: Weeks of each camera by their Monday; ``ALL_CAMERAS`` counts every image.
        by_capture: How many images are counted in the week of their capture; the others, in that of their
            classification in UTC.
        uncounted: How many images belong to cameras beyond ``MAX_CAMERAS``; only ``ALL_CAMERAS`` counts them.
    """

    cameras: dict[Camera, dict[date, Week]] = field(default_factory=lambda: {ALL_CAMERAS: {}})
    by_capture: int = 0
    uncounted: int = 0
    _last: dict[Camera, tuple[datetime, str]] = field(default_factory=dict)  # rows of a folder come by name, so by time

    def add(self, record: Record) -> None:
        """Count one classified record."""
        label, score, camera, monday = record.label or "", record.score or 0.0, camera_of(record), week_of(record)
        is_counted = camera in self.cameras or len(self.cameras) <= MAX_CAMERAS
        self.uncounted += not is_counted
        starts_burst = True
        if taken := wall_clock(record.taken_at):
            self.by_capture += 1
            last, last_label = self._last.get(camera, (taken, None))
            starts_burst = label != last_label or abs(taken - last) >= BURST
            if is_counted:
                self._last[camera] = taken, label
        for each in (ALL_CAMERAS, camera) if is_counted else (ALL_CAMERAS,):
            self.cameras.setdefault(each, {}).setdefault(monday, Week()).add(label, score, starts_burst=starts_burst)


def week_of(record: Record) -> date:
    """The Monday of the week in which a photo was taken by its camera's clock, else classified in UTC."""
    day = (wall_clock(record.taken_at) or record.classified_at.astimezone(UTC)).date()
    return day - timedelta(days=day.weekday()) if day.toordinal() > day.weekday() else date.min


def camera_name(camera: Camera) -> str:
    """The camera for people."""
    if camera == ALL_CAMERAS:
        return "All cameras"
    *model, place = camera
    place = place or "the top folder"
    return f"{model[0]} in {place}" if model and model[0] else place
