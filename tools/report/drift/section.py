"""Prepares the report's section about weeks: the changes with photos that show them, and the weeks of each camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.predictions import UNKNOWN
from storage.query.events import camera_of
from tools.report.drift.significance import CHANCE, MAX_WEEKS, MIN_BURSTS, MIN_WEEKS, changes
from tools.report.drift.tally import ALL_CAMERAS, camera_name, week_of
from tools.report.sampling import EvenSample
from tools.report.text import percentage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from storage.results.record import Image, Record
    from tools.report.drift.significance import Change
    from tools.report.drift.tally import Camera, Tally, Week

MAX_CHANGES = 20
"""Changes that the page lists, the least probable first."""
PHOTOS = 6
"""Photos that show a change."""
_MAX_CAMERAS, _MAX_ROWS, _MAX_LABELS = 50, 104, 3  # cameras with the most images; two years; most frequent labels


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo that shows a change; ``picture`` is a data URI as markup, or the reason that there is none."""

    record: Record
    picture: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change, as texts; ``photos`` are of its label where its share rises, else of any label."""

    camera: str
    monday: date
    subject: str
    before: str
    now: str
    probability: str
    photos: Sequence[Photo]


@dataclass(frozen=True, slots=True)
class WeekRow:
    """One week, as texts."""

    monday: date
    images: int
    mean_score: str
    unknown: str
    labels: Sequence[tuple[str, str]]
    marked: bool


@dataclass(frozen=True, slots=True)
class CameraTable:
    """The weeks of one camera, newest first."""

    name: str
    images: int
    weeks: Sequence[WeekRow]
    hidden: int


@dataclass(frozen=True, slots=True)
class Drift:
    """The section.

    Attributes:
        changes: Those that the page lists.
        unlisted: How many more there are.
        tables: All cameras together, then the cameras with the most images.
        other_cameras: How many cameras have no table.
        by_capture: Images in the week of their capture.
        images: All images.
        rules: The numbers of the test: chance in percent, bursts, least and most weeks.
    """

    changes: Sequence[ChangeRow]
    unlisted: int
    tables: Sequence[CameraTable]
    other_cameras: int
    by_capture: int
    images: int
    rules: tuple[int, int, int, int] = (round(CHANCE * 100), MIN_BURSTS, MIN_WEEKS, MAX_WEEKS)


class ChangePhotos:
    """Picks photos for the changes of a tally in a second pass over the same records. Not thread-safe.

    Attributes:
        found: All changes, the least probable first.
    """

    def __init__(self, tally: Tally) -> None:
        self.found = changes(tally.cameras)
        self._listed = self.found[:MAX_CHANGES]
        self._places: dict[tuple[Camera, date], list[int]] = {}
        for place, change in enumerate(self._listed):
            self._places.setdefault((change.camera, change.monday), []).append(place)
        self._samples = [EvenSample(PHOTOS, lambda _record: "") for _ in self._listed]

    def add(self, record: Record) -> None:
        """Take one classified record, or leave it out."""
        monday = week_of(record)
        for each in (camera_of(record), ALL_CAMERAS):
            for place in self._places.get((each, monday), ()):
                change = self._listed[place]
                if not change.rises or change.label == (record.label or ""):
                    self._samples[place].add(record)

    def records(self) -> list[Record]:
        """The chosen records, each once."""
        return list({record.image: record for sample in self._samples for record in sample.records()}.values())

    def rows(self, pictures: Mapping[Image, str]) -> list[ChangeRow]:
        """The changes of the page with their photos, whose pictures are data URIs or reasons."""
        return [
            _change_row(change, [Photo(record, pictures[record.image]) for record in sample.records()])
            for change, sample in zip(self._listed, self._samples, strict=True)
        ]


def drift(tally: Tally, photos: ChangePhotos, pictures: Mapping[Image, str]) -> Drift:
    """Prepare the section."""
    marked = {(change.camera, change.monday) for change in photos.found}
    cameras = [camera for camera in tally.cameras if camera != ALL_CAMERAS]
    cameras.sort(key=lambda camera: (-_images(tally.cameras[camera].values()), camera))
    shown = cameras[:_MAX_CAMERAS] if len(cameras) > 1 else []  # one camera is all cameras
    return Drift(
        changes=photos.rows(pictures),
        unlisted=max(0, len(photos.found) - MAX_CHANGES),
        tables=[_camera_table(camera, tally.cameras[camera], marked) for camera in (ALL_CAMERAS, *shown)],
        other_cameras=max(0, len(cameras) - _MAX_CAMERAS),
        by_capture=tally.by_capture,
        images=_images(tally.cameras[ALL_CAMERAS].values()),
    )


def _images(weeks: Iterable[Week]) -> int:
    return sum(week.images for week in weeks)


def _camera_table(camera: Camera, weeks: Mapping[date, Week], marked: set[tuple[Camera, date]]) -> CameraTable:
    newest = sorted(weeks, reverse=True)
    rows = [_week_row(monday, weeks[monday], (camera, monday) in marked) for monday in newest[:_MAX_ROWS]]
    return CameraTable(camera_name(camera), _images(weeks.values()), rows, max(0, len(newest) - _MAX_ROWS))


def _week_row(monday: date, week: Week, marked: bool) -> WeekRow:  # noqa: FBT001 - a private helper with one caller
    frequent = sorted(week.labels.items(), key=lambda item: (-item[1], item[0]))[:_MAX_LABELS]
    return WeekRow(
        monday,
        week.images,
        f"{week.mean_score:.2f}",
        percentage(week.labels[UNKNOWN], week.images),
        [(label, percentage(number, week.images)) for label, number in frequent],
        marked,
    )


def _change_row(change: Change, photos: Sequence[Photo]) -> ChangeRow:
    is_share = change.label is not None
    before, now = (
        f"{value:.0%}".replace("%", " %") if is_share else f"{value:.2f}" for value in (change.before, change.now)
    )
    probability = f"{change.probability:.1g}" if change.probability >= 0.0001 else "less than 0.0001"
    subject = change.label if change.label is not None else "mean score"
    return ChangeRow(camera_name(change.camera), change.monday, subject, before, now, probability, photos)
