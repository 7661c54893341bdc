"""How far a backfill has come: how much there is in all, how fast it goes, what limits it."""

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
    """How much there is to do in all, counted in a second, faster listing while the work goes on.

    Args:
        selection: Listed once more.
        limit: No more than this counts.
    """

    def __init__(self, selection: Iterable[Found], limit: int | None = None) -> None:
        self.images = 0
        self.is_final = False
        self.stopping = threading.Event()
        self._selection = selection
        self._limit = limit
        self._thread = threading.Thread(target=self._count, name="count", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop counting."""
        self.stopping.set()
        self.join()

    def join(self) -> None:
        """Wait until all is counted."""
        self._thread.join()

    def _count(self) -> None:
        try:
            for found in self._selection:
                if self.images == self._limit or self.stopping.is_set():
                    break
                self.images += found.why is not None
        except ClassificationError:
            return  # the work itself tells what is wrong; without a total there is no ETA
        self.is_final = True


@dataclass(frozen=True, slots=True)
class State:
    """One moment of a run.

    Attributes:
        total: What there is to do in all, as far as it is counted.
        images_per_s: Lately.
        eta_seconds: ``None`` while nobody knows.
        limit: The stage that limits now.
    """

    counts: Counts
    total: int
    is_total: bool
    images_per_s: float
    eta_seconds: float | None
    limit: str
    stopping: bool

    @property
    def eta(self) -> str:
        """Time left, as ``0:05:45``; a dash while nobody knows."""
        return "-" if self.eta_seconds is None else str(timedelta(seconds=round(self.eta_seconds)))

    @property
    def of_total(self) -> str:
        """How many of how many."""
        return f"{self.counts.done:,} of {self.total:,}{'' if self.is_total else '+'}"


def state(counts: Counts, total: Total, limit: Callable[[], str], stopping: threading.Event) -> State:
    """Look at a run."""
    rate = counts.images_per_s()
    images = max(total.images, counts.done)
    eta = (images - counts.done) / rate if rate and total.is_final else None
    return State(counts, images, total.is_final, rate, eta, limit(), stopping.is_set())


class Shows(Protocol):
    """How states are shown."""

    every_seconds: float

    def show(self, state: State) -> None:
        """Show the run as it is."""
        ...

    def close(self) -> None:
        """End, so that other things can be printed."""
        ...


@contextmanager
def shown(display: Shows, look: Callable[[], State]) -> Iterator[None]:
    """Show a run, again and again, for the length of the block."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(display.every_seconds):
            display.show(look())

    ticker = threading.Thread(target=tick, name="display", daemon=True)
    ticker.start()
    try:
        yield
    finally:
        over.set()
        ticker.join()
        display.close()
