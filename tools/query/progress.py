"""Shows how many rows a command has read: a live view on a terminal, lines in a log, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Self, TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType


_Row = TypeVar("_Row")
_LINE_SECONDS = 10.0
_LIVE_SECONDS = 0.25


class RowProgress:
    """Counts rows and shows the count regularly. Not thread-safe; a context manager.

    Args:
        as_json: Print JSON lines on stdout instead of text on stderr.
        stage: What happens to the rows, in a word.
        only_live: Without a terminal show nothing.

    Attributes:
        rows: The number of rows read.
        seconds: Since the start.
    """

    def __init__(self, *, as_json: bool, stage: str = "", only_live: bool = False) -> None:
        self.rows = 0
        self._as_json = as_json
        self._stage = stage
        self._only_live = only_live
        self._started = time.monotonic()
        console = Console(stderr=True, highlight=False)
        self._is_live = console.is_terminal and not as_json
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._view = Progress(*columns, console=console, transient=True, disable=not self._is_live)
        self._task = self._view.add_task("")

    def __enter__(self) -> Self:
        self._view.start()
        return self

    def __exit__(self, _kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._view.stop()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def counted(self, rows: Iterable[_Row]) -> Iterator[_Row]:
        """Yield the rows, and show their number from time to time."""
        interval = _LIVE_SECONDS if self._is_live else _LINE_SECONDS
        due = time.monotonic() + interval
        for row in rows:
            self.rows += 1
            yield row
            if time.monotonic() >= due:
                self._show()
                due = time.monotonic() + interval

    def report(self, text: str) -> None:
        """Print a sentence on stderr, above the view."""
        if self._is_live:
            self._view.console.print(text, markup=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def _show(self) -> None:
        if self._only_live and not self._is_live:
            return
        rate = self.rows / max(self.seconds, 1e-9)
        if self._as_json:
            stage = {"stage": self._stage} if self._stage else {}
            event = {"event": "progress", **stage, "rows": self.rows, "rows_per_s": round(rate, 1)}
            print(json.dumps(event), flush=True)
            return
        text = f"{self.rows:,} rows{f' {self._stage}' if self._stage else ''}, {rate:,.0f} rows/s"
        if self._is_live:
            self._view.update(self._task, description=text)
        else:
            self.report(text)
