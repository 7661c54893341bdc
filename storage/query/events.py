"""Events: photos of one camera, each taken less than a gap after the one before. Computed from rows, never stored.

Rows may come in any order and more than once. They are sorted by camera and time in a temporary SQLite database on
disk, which takes about 400 bytes a row and the carried text, so memory stays constant, however many photos one event
has. Two runs over the same rows give the same events, because everything about an event follows from its sorted photos.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Self

from inference.errors import TransientError
from storage.keys import folder_of, wall_clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from storage.results.record import Record

DEFAULT_GAP = timedelta(seconds=60)
_MICROSECOND = timedelta(microseconds=1)
# Sorted by the primary key, so reading in order needs no sorting and a repeated photo finds itself.
_TABLE = (
    "CREATE TABLE photos (camera TEXT, taken INTEGER, name TEXT, classified REAL, taken_at TEXT, scores TEXT,"
    " carried TEXT, PRIMARY KEY (camera, taken, name)) WITHOUT ROWID"
)
_ADD = (
    "INSERT INTO photos VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET classified = excluded.classified,"
    " taken_at = excluded.taken_at, scores = excluded.scores, carried = excluded.carried"
    " WHERE excluded.classified >= photos.classified"
)
_CACHE_KIB = 32 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """Photos of one camera that follow each other.

    Attributes:
        event_id: 16 hex digits, made of the camera and the time of the first photo.
        camera: Its serial number; else its model and the folder; else the folder.
        start: ``taken_at`` of the first photo; the camera's clock.
        end: ``taken_at`` of the last photo.
        image_count: How many photos, with rejected and failed ones.
        label: The label with the highest mean score over the classified photos, the first by name of equal ones; a
            label that a photo's row does not name counts as 0 there. ``None`` where no photo is classified.
        score: That mean, in [0, 1].
    """

    event_id: str
    camera: str
    start: str
    end: str
    image_count: int
    label: str | None
    score: float | None


class EventSorter:
    """Takes rows in any order and gives their events, by camera and time. Not thread-safe; a context manager.

    Args:
        gap: Two photos of one camera that are less than this apart belong to one event; more than 0.

    Attributes:
        without_time: How many rows have no capture time that can be read: they belong to no event.
    """

    def __init__(self, gap: timedelta = DEFAULT_GAP) -> None:
        self._gap = gap // _MICROSECOND
        self.without_time = 0

    def __enter__(self) -> Self:
        with _disk_errors():
            self._database = sqlite3.connect("", isolation_level=None)  # a file of its own, gone when it is closed
            for statement in (f"PRAGMA cache_size = -{_CACHE_KIB}", "PRAGMA journal_mode = OFF", _TABLE, "BEGIN"):
                self._database.execute(statement)
        return self

    def __exit__(self, _kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._database.close()

    @property
    def is_empty(self) -> bool:
        """Whether no row with a capture time was added."""
        with _disk_errors():
            return self._database.execute("SELECT 1 FROM photos LIMIT 1").fetchone() is None

    def add(self, record: Record, carried: str, reviewed_label: str | None = None) -> bool:
        """Take a row. Of an image that comes twice with one capture time, the outcome classified last counts.

        Args:
            record: The row.
            carried: A text that ``events`` gives back among those of the event.
            reviewed_label: A reviewer's label, which counts with the score 1 and in place of the row's.

        Returns:
            Whether it belongs to an event.

        Raises:
            TransientError: The disk for temporary files is full.
        """
        taken = wall_clock(record.taken_at)
        if taken is None:
            self.without_time += 1
            return False
        scores = label_scores(record) if reviewed_label is None else {reviewed_label: 1.0}
        row = (
            json.dumps(camera_of(record)),
            int(taken.timestamp()) * 1_000_000 + taken.microsecond,
            record.blob_name,
            record.classified_at.timestamp(),
            record.taken_at,
            json.dumps(scores) if scores else None,
            carried,
        )
        with _disk_errors():
            self._database.execute(_ADD, row)
        return True

    def events(self) -> Iterator[tuple[Event, Iterator[str]]]:
        """Yield each event with the carried texts of its photos, by time and name.

        The texts are read from disk while they are asked for, until the next event is.

        Raises:
            TransientError: The temporary file cannot be read.
        """
        order = "FROM photos ORDER BY camera, taken, name"
        with _disk_errors():
            carried = self._database.execute(f"SELECT carried {order}")
            for event in self._grouped(self._database.execute(f"SELECT camera, taken, taken_at, scores {order}")):
                texts = (text for (text,) in islice(carried, event.image_count))
                yield event, texts
                deque(texts, maxlen=0)

    def _grouped(self, rows: Iterator[tuple[str, int, str, str | None]]) -> Iterator[Event]:
        event: _Growing | None = None
        for camera, taken, taken_at, scores in rows:
            if event is None or camera != event.camera or taken - event.last >= self._gap:
                if event is not None:
                    yield event.finished()
                event = _Growing(camera, taken, taken_at)
            event.add(taken, taken_at, scores)
        if event is not None:
            yield event.finished()


class _Growing:
    """An event whose photos are being read. It keeps a sum for each label, and no photo."""

    def __init__(self, camera: str, first: int, start: str) -> None:
        self.camera = camera
        self.last = first
        self._first, self._start, self._end = first, start, start
        self._images = self._classified = 0
        self._sums: dict[str, float] = {}

    def add(self, taken: int, taken_at: str, scores: str | None) -> None:
        self.last, self._end = taken, taken_at
        self._images += 1
        if scores is not None:
            self._classified += 1
            for label, score in json.loads(scores).items():
                self._sums[label] = self._sums.get(label, 0.0) + score

    def finished(self) -> Event:
        means = {label: total / self._classified for label, total in self._sums.items()}
        label = min(means, key=lambda each: (-means[each], each), default=None)
        digest = hashlib.sha256(f"{self.camera}\n{self._first}".encode()).hexdigest()
        return Event(
            event_id=digest[:16],
            camera=", ".join(filter(None, json.loads(self.camera))),
            start=self._start,
            end=self._end,
            image_count=self._images,
            label=label,
            score=None if label is None else means[label],
        )


def camera_of(record: Record) -> tuple[str, ...]:
    """What identifies the camera of a photo: the serial number; else the model and the folder; else the folder."""
    if record.camera_serial:
        return (record.camera_serial,)
    return (record.camera_model or "", folder_of(record.blob_name) or "")


def label_scores(record: Record) -> dict[str, float]:
    """Return the labels of a row with their scores: its top k, or the label alone that a decision gave."""
    if record.decision_version is None and record.predictions:
        return {each.label: each.score for each in reversed(record.predictions)}  # of equal labels the best counts
    if record.label is None or record.score is None:
        return {}
    return {record.label: record.score}


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise TransientError(
            f"The temporary file that sorts photos cannot be used ({error}): make room, or set SQLITE_TMPDIR to a "
            "folder on a larger disk."
        ) from error
