"""Shows the progress of a backfill: a live view on a terminal, plain lines in a log, or JSON lines."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from tools.terminal import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from tools.backfill.counts import Problem
    from tools.backfill.progress import Progress

_STAGES = {
    "list": "listing the container",
    "read": "reading blobs",
    "decode": "decoding pictures",
    "infer": "running the model",
    "write": "writing results",
}
_WIDEST_BAR = 40
_BESIDE_BAR = 32  # columns for "1,000,000 of 2,000,000" and the share
_LIVE_SECONDS = 0.25
_LINE_SECONDS = 10.0
_STOPPING = "Stopping after the images in progress. Press Ctrl+C again to stop at once."


class JsonLines:
    """Progress as JSON lines on stdout."""

    every_seconds = _LINE_SECONDS

    def show(self, progress: Progress) -> None:
        """Print a ``progress`` event."""
        counts = progress.counts
        event = {
            "event": "progress",
            "done": counts.done,
            "total": progress.total if progress.is_total_final else None,
            "skipped": counts.skipped,
            "rejected": counts.rejected,
            "failed": counts.failed,
            "images_per_s": round(progress.images_per_s, 2),
            "eta_seconds": None if progress.eta_seconds is None else round(progress.eta_seconds),
            "limit": progress.slowest_stage,
        }
        print(json.dumps(event), flush=True)

    def close(self) -> None:
        """Do nothing."""


class Lines:
    """Progress as plain lines on stderr, for logs."""

    every_seconds = _LINE_SECONDS

    def show(self, progress: Progress) -> None:
        """Print one line."""
        counts = progress.counts
        print(
            f"{progress.done_of_total} images, {progress.images_per_s:.1f} images/s, {progress.eta} left, "
            f"{counts.rejected:,} rejected, {counts.failed:,} failed; slowest stage: {_STAGES[progress.slowest_stage]}"
            f"{'. ' + _STOPPING if progress.is_stopping else ''}",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """Do nothing."""


class Terminal:
    """Progress as a live view on stderr.

    Args:
        title: One line above the view.
    """

    every_seconds = _LIVE_SECONDS

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._title = printable(title)
        self._console = Console(stderr=True)
        self._live: Live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def show(self, progress: Progress) -> None:
        """Update the view."""
        self._live.update(self._view(progress), refresh=True)

    def close(self) -> None:
        """Remove the view; the summary follows."""
        self._live.stop()

    def _view(self, progress: Progress) -> RenderableType:
        from rich.columns import Columns
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        counts, total = progress.counts, progress.total
        share = f"{100 * counts.done // total} %" if progress.is_total_final and total else "counting"
        head = Table.grid(padding=(0, 2))
        width = max(_WIDEST_BAR // 5, min(_WIDEST_BAR, self._console.width - _BESIDE_BAR))
        bar = ProgressBar(total=total or 1, completed=counts.done, width=width, pulse=not total)
        head.add_row(bar, Text(progress.done_of_total, "bold"), Text(share))
        facts = (
            Text(f"{progress.images_per_s:.1f} images/s"),
            Text(f"{progress.eta} left"),
            Text(f"{counts.skipped:,} skipped"),
            Text(f"{counts.rejected:,} rejected", "yellow" if counts.rejected else ""),
            Text(f"{counts.failed:,} failed", "red" if counts.failed else ""),
        )
        stage = Text(f"slowest stage: {_STAGES[progress.slowest_stage]}", "dim")
        last = [Text(_STOPPING, "yellow")] if progress.is_stopping else []
        return Group(Text(self._title), head, Columns(facts, padding=(0, 3)), stage, *last)


def print_json(problem: Problem) -> None:
    """Print an image that was not classified as a JSON line."""
    event = {"event": problem.status, "image": problem.image, "reason": problem.reason, "detail": problem.detail}
    print(json.dumps(event), flush=True)
