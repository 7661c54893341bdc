"""Progress of a backfill: how many images there are, how fast they are classified, which stage is the slowest."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from inference.errors import ClassificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tools.backfill.counts import Counts
    from tools.backfill.selection import Found


class Total:
    """The number of images that have to be classified, counted by a listing of its own beside the work.

    Args:
        selection: It is listed once more.
        limit: The count ends here.
    """

    def __init__(self, selection: Iterable[Found], limit: int | None = None) -> None:
        self.images = 0
        self.is_final = False
        self._stopping = threading.Event()
        self._selection = selection
        self._limit = limit
        self._thread = threading.Thread(target=self._count, name="count", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop counting."""
        self._stopping.set()
        self.join()

    def join(self) -> None:
        """Wait for the end of the count."""
        self._thread.join()

    def _count(self) -> None:
        try:
            for found in self._selection:
                if self.images == self._limit or self._stopping.is_set():
                    break
                self.images += found.reason is not None
        except ClassificationError:
            return  # the work reports the same error; without a total there is no ETA
        self.is_final = True


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a run at one moment.

    Attributes:
        counts: Of the run.
        total: Images that have to be classified, as far as they are counted.
        is_total_final: Whether all are counted.
        images_per_s: Rate of the last half minute.
        eta_seconds: Remaining time; ``None`` if it is not known.
        slowest_stage: See ``Pipeline.slowest_stage``.
        is_stopping: Whether Ctrl+C was pressed.
    """

    counts: Counts
    total: int
    is_total_final: bool
    images_per_s: float
    eta_seconds: float | None
    slowest_stage: str
    is_stopping: bool

    @property
    def eta(self) -> str:
        """Remaining time, as ``0:05:45``, or a dash."""
        return "-" if self.eta_seconds is None else str(timedelta(seconds=round(self.eta_seconds)))

    @property
    def done_of_total(self) -> str:
        """As ``2 of 1,000``; ``+`` after a total that is not final."""
        return f"{self.counts.done:,} of {self.total:,}{'' if self.is_total_final else '+'}"


def progress(counts: Counts, total: Total, slowest_stage: str, stopping: threading.Event) -> Progress:
    """Return the current progress of a run."""
    rate = counts.images_per_s()
    images = max(total.images, counts.done)
    eta = (images - counts.done) / rate if rate and total.is_final else None
    return Progress(counts, images, total.is_final, rate, eta, slowest_stage, stopping.is_set())


class Display(Protocol):
    """Shows progress every ``every_seconds``."""

    every_seconds: float

    def show(self, progress: Progress) -> None:
        """Show the progress."""
        ...

    def close(self) -> None:
        """Remove what it shows, so that other text can be printed."""
        ...


@contextmanager
def displayed(display: Display, current: Callable[[], Progress]) -> Iterator[None]:
    """Show the current progress regularly while the block runs."""
    finished = threading.Event()

    def repeat() -> None:
        while not finished.wait(display.every_seconds):
            display.show(current())

    thread = threading.Thread(target=repeat, name="display", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
        display.close()
