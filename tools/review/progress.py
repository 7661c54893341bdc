"""Shows how many reviews are imported: a bar on a terminal, lines in a log, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from types import TracebackType

_LINE_SECONDS = 10.0


class ImportProgress:
    """Counts reviews and shows the count regularly. Not thread-safe; a context manager.

    Args:
        total: How many there are.
        as_json: Print JSON lines on stdout instead of text on stderr.
    """

    def __init__(self, total: int, *, as_json: bool) -> None:
        self._total, self._done = total, 0
        self._as_json = as_json
        self._due = time.monotonic() + _LINE_SECONDS
        console = Console(stderr=True, highlight=False)
        self._is_live = console.is_terminal and not as_json
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._view = Progress(*columns, console=console, transient=True, disable=not self._is_live)
        self._task = self._view.add_task("Importing", total=total)

    def __enter__(self) -> Self:
        self._view.start()
        return self

    def __exit__(self, _kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._view.stop()

    def advance(self, reviews: int) -> None:
        """Count further reviews."""
        self._done += reviews
        self._view.update(self._task, completed=self._done)
        if self._is_live or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _LINE_SECONDS
        if self._as_json:
            print(json.dumps({"event": "progress", "reviews": self._done, "total": self._total}), flush=True)
        else:
            print(f"{self._done:,} of {self._total:,} reviews", file=sys.stderr, flush=True)
