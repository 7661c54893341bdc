"""Counts the images of one backfill, for its progress and its summary."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from storage.refusals import FailureReason
from storage.results.record import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.results.record import Record

MAX_PROBLEMS = 10  # kept for the printed summary; the table has all of them
_WINDOW_SECONDS = 30.0


class Problem(NamedTuple):
    """An image that was not classified; its status is ``rejected`` or ``failed``."""

    status: str
    image: str
    reason: str | None
    detail: str | None

    @classmethod
    def of(cls, record: Record) -> Problem:
        """Return the problem that a row describes."""
        return cls(str(record.status), record.blob_name, record.reason, record.detail)


class Counts:
    """Counts of one run. Thread-safe.

    Every listed image is ``skipped``, ``classified``, ``rejected``, ``failed`` or ``enqueued``, unless the run was
    interrupted or dry.

    Attributes:
        listed: Images of the selection.
        skipped: Images without work: they have their result, or are gone, or are no uploads.
        classified: By this run, as are ``rejected`` and ``failed``.
        damaged: Of ``classified``, those of which only a part could be decoded.
        enqueued: Put on ``classify-requests``.
        pending: Images that were found to need work.
        rejected_earlier: Of ``skipped``, those that an earlier run or the app rejected.
        failed_earlier: Of ``skipped``, those that storage refused earlier, and that nothing has changed since.
        archived: Of ``failed`` and ``failed_earlier``, those in the archive tier.
        unreadable: Of these two, those that storage refuses for another reason.
        damaged_earlier: Of ``skipped``, those that an earlier run or the app classified by a part.
        problems: The first images that were not classified, also in earlier runs.

    Args:
        report: Called with each image that this run did not classify.
    """

    def __init__(self, report: Callable[[Problem], object] = lambda _problem: None) -> None:
        self.listed = 0
        self.skipped = 0
        self.classified = 0
        self.damaged = 0
        self.rejected = 0
        self.failed = 0
        self.enqueued = 0
        self.pending = 0
        self.rejected_earlier = 0
        self.failed_earlier = 0
        self.damaged_earlier = 0
        self.archived = 0
        self.unreadable = 0
        self.problems: list[Problem] = []
        self._report = report
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._history = deque([(self._started, 0)])

    @property
    def all_classified(self) -> bool:
        """Whether no image of the selection was rejected or failed, in this run or earlier."""
        return not (self.rejected or self.failed or self.rejected_earlier or self.failed_earlier)

    @property
    def done(self) -> int:
        """Images that this run classified, rejected or gave up."""
        return self.classified + self.rejected + self.failed

    @property
    def seconds(self) -> float:
        """Since the start of the run."""
        return time.monotonic() - self._started

    def add_skipped(self, record: Record | None = None) -> None:
        """Count an image without work, and its row if it has one."""
        with self._lock:
            self.skipped += 1
            if record is not None and record.status is Status.REJECTED:
                self.rejected_earlier += 1
                self._keep(Problem.of(record))
            if record is not None and record.status is Status.FAILED:
                self.failed_earlier += 1
                self._count_refused(record.reason)
                self._keep(Problem.of(record))
            self.damaged_earlier += record is not None and record.damaged

    def add_result(self, record: Record) -> None:
        """Count an image by the row that this run wrote."""
        if record.status is Status.CLASSIFIED:
            with self._lock:
                self.classified += 1
                self.damaged += record.damaged
        else:
            self.add_problem(Problem.of(record))

    def add_problem(self, problem: Problem) -> None:
        """Count and report an image that this run did not classify."""
        with self._lock:
            if problem.status == Status.REJECTED:
                self.rejected += 1
            else:
                self.failed += 1
                self._count_refused(problem.reason)
            self._keep(problem)
            self._report(problem)

    def keep_problem(self, record: Record) -> None:
        """Keep an image for the printed summary if its row says that it is not classified."""
        if record.status is not Status.CLASSIFIED:
            with self._lock:
                self._keep(Problem.of(record))

    def restart_listing(self) -> None:
        """Prepare for a listing from its beginning, in which this run's results appear as skipped."""
        with self._lock:
            self.listed, self.pending, self.failed = 0, self.classified + self.rejected, 0
            self.skipped, self.rejected_earlier = -(self.classified + self.rejected), -self.rejected
            self.damaged_earlier, self.failed_earlier = -self.damaged, 0
            self.archived, self.unreadable = 0, 0

    def images_per_s(self) -> float:
        """Return the rate of the last half minute."""
        now, done = time.monotonic(), self.done
        with self._lock:
            self._history.append((now, done))
            while now - self._history[0][0] > _WINDOW_SECONDS:
                self._history.popleft()
            since, before = self._history[0]
        return max(0, done - before) / (now - since) if now > since else 0.0

    def summary(self) -> dict[str, Any]:
        """Return the fields of the summary event."""
        seconds = self.seconds
        names = ("listed", "skipped", "classified", "rejected", "failed", "enqueued")
        return {
            **{name: getattr(self, name) for name in names},
            "seconds": round(seconds, 3),
            "images_per_s": round(self.done / seconds, 2) if seconds else 0.0,
            "rejected_earlier": self.rejected_earlier,
            "failed_earlier": self.failed_earlier,
            "damaged": self.damaged,
        }

    def _count_refused(self, reason: str | None) -> None:
        self.archived += reason == FailureReason.ARCHIVED
        self.unreadable += reason == FailureReason.UNREADABLE

    def _keep(self, problem: Problem) -> None:
        if len(self.problems) < MAX_PROBLEMS and problem.image not in {kept.image for kept in self.problems}:
            self.problems.append(problem)
