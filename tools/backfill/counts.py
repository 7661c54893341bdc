"""What a backfill has seen and done, as its summary tells it."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from storage.results.record import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.results.record import Record

FIRST = 10  # troubles remembered for a person; the table has them all
_WINDOW_SECONDS = 30.0


class Trouble(NamedTuple):
    """An image that was not classified: ``rejected`` or ``failed``."""

    status: str
    image: str
    reason: str | None
    detail: str | None


class Counts:
    """Counts of one run. Thread-safe.

    Every image that was listed is ``skipped``, ``classified``, ``rejected``, ``failed`` or ``enqueued``, unless the run
    was interrupted or dry.

    Attributes:
        listed: Images of the selection.
        skipped: Nothing to do, or nothing left to do: done earlier or meanwhile, gone, no upload.
        classified: By this run, as are ``rejected`` and ``failed``.
        enqueued: Put on ``classify-requests``.
        to_do: Images found to need work.
        rejected_earlier: Of ``skipped``, those whose row says that they can never be classified.
        troubles: The first few that were not classified, earlier runs included.

    Args:
        tell: Called with each image that this run did not classify.
    """

    def __init__(self, tell: Callable[[Trouble], object] = lambda _trouble: None) -> None:
        self.listed = 0
        self.skipped = 0
        self.classified = 0
        self.rejected = 0
        self.failed = 0
        self.enqueued = 0
        self.to_do = 0
        self.rejected_earlier = 0
        self.troubles: list[Trouble] = []
        self._tell = tell
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._passed = deque([(self._started, 0)])

    @property
    def all_classified(self) -> bool:
        """Whether no image of the selection is known to be rejected or failed, now or earlier."""
        return not (self.rejected or self.failed or self.rejected_earlier)

    @property
    def done(self) -> int:
        """Images that this run has settled."""
        return self.classified + self.rejected + self.failed

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._started

    def skip(self, record: Record | None = None) -> None:
        """Note an image that needs nothing (more) from us, and its row if there is one."""
        with self._lock:
            self.skipped += 1
            if record is not None and record.status is Status.REJECTED:
                self.rejected_earlier += 1
                self._remember(_trouble(record))

    def classify_blob(self, record: Record) -> None:
        """Note what this run made of an image."""
        if record.status is Status.CLASSIFIED:
            with self._lock:
                self.classified += 1
        else:
            self.fail(_trouble(record))

    def fail(self, trouble: Trouble) -> None:
        """Note an image that this run could not classify."""
        with self._lock:
            if trouble.status == Status.REJECTED:
                self.rejected += 1
            else:
                self.failed += 1
            self._remember(trouble)
            self._tell(trouble)

    def remember(self, record: Record) -> None:
        """Keep an image in mind, for the person, that is not classified."""
        if record.status is not Status.CLASSIFIED:
            with self._lock:
                self._remember(_trouble(record))

    def list_again(self) -> None:
        """Prepare for another listing from its beginning: what this run has settled will come as done already."""
        with self._lock:
            self.listed, self.to_do, self.failed = 0, self.classified + self.rejected, 0
            self.skipped, self.rejected_earlier = -(self.classified + self.rejected), -self.rejected

    def images_per_s(self) -> float:
        """Images settled per second, over the last half minute."""
        now, done = time.monotonic(), self.done
        with self._lock:
            self._passed.append((now, done))
            while now - self._passed[0][0] > _WINDOW_SECONDS:
                self._passed.popleft()
            since, before = self._passed[0]
        return max(0, done - before) / (now - since) if now > since else 0.0

    def summary(self) -> dict[str, Any]:
        """The summary event's fields."""
        seconds = self.seconds
        names = ("listed", "skipped", "classified", "rejected", "failed", "enqueued")
        return {
            **{name: getattr(self, name) for name in names},
            "seconds": round(seconds, 3),
            "images_per_s": round(self.done / seconds, 2) if seconds else 0.0,
            "rejected_earlier": self.rejected_earlier,
        }

    def _remember(self, trouble: Trouble) -> None:
        if len(self.troubles) < FIRST and trouble.image not in {known.image for known in self.troubles}:
            self.troubles.append(trouble)


def _trouble(record: Record) -> Trouble:
    return Trouble(str(record.status), record.blob_name, record.reason, record.detail)
