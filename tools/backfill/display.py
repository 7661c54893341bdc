"""What a backfill shows while it runs: a live view on a terminal, plain lines when piped, or JSON lines."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from tools.terminal import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from tools.backfill.counts import Trouble
    from tools.backfill.progress import State

_LIVE_SECONDS = 0.25
_LINE_SECONDS = 10.0
_STOPPING = "Stopping: finishing what is in flight. Ctrl+C again stops at once."


class JsonLines:
    """Progress as JSON lines on stdout."""

    every_seconds = _LINE_SECONDS

    def show(self, state: State) -> None:
        """Print a ``progress`` event."""
        counts = state.counts
        event = {
            "event": "progress",
            "done": counts.done,
            "total": state.total if state.is_total else None,
            "skipped": counts.skipped,
            "rejected": counts.rejected,
            "failed": counts.failed,
            "images_per_s": round(state.images_per_s, 2),
            "eta_seconds": None if state.eta_seconds is None else round(state.eta_seconds),
            "limit": state.limit,
        }
        print(json.dumps(event), flush=True)

    def close(self) -> None:
        """Nothing is left to do."""


class Lines:
    """Progress as plain lines on stderr, for logs."""

    every_seconds = _LINE_SECONDS

    def show(self, state: State) -> None:
        """Print one line."""
        counts = state.counts
        print(
            f"{state.of_total} images, {state.images_per_s:.1f} images/s, {state.eta} left, "
            f"{counts.rejected:,} rejected, {counts.failed:,} failed; {state.limit} limits"
            f"{'. ' + _STOPPING if state.stopping else ''}",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """Nothing is left to do."""


class Terminal:
    """A live view on stderr.

    Args:
        title: What is being done, in one line.
    """

    every_seconds = _LIVE_SECONDS

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._title = printable(title)
        self._live: Live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
        self._live.start()

    def show(self, state: State) -> None:
        """Draw the view anew."""
        self._live.update(self._view(state), refresh=True)

    def close(self) -> None:
        """Take the view away: the summary says it all."""
        self._live.stop()

    def _view(self, state: State) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        counts = state.counts
        share = f"{100 * counts.done // state.total} %" if state.is_total and state.total else "counting"
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=state.total or 1, completed=counts.done, width=40, pulse=not state.total)
        head.add_row(bar, Text(state.of_total, "bold"), Text(share))
        facts = Table.grid(padding=(0, 3))
        facts.add_row(
            Text(f"{state.images_per_s:.1f} images/s"),
            Text(f"{state.eta} left"),
            Text(f"{counts.skipped:,} skipped"),
            Text(f"{counts.rejected:,} rejected", "yellow" if counts.rejected else ""),
            Text(f"{counts.failed:,} failed", "red" if counts.failed else ""),
            Text(f"{state.limit} limits", "dim"),
        )
        last = [Text(_STOPPING, "yellow")] if state.stopping else []
        return Group(Text(self._title), head, facts, *last)


def tell_json(trouble: Trouble) -> None:
    """Print an image that was not classified as a JSON line."""
    event = {"event": trouble.status, "image": trouble.image, "reason": trouble.reason, "detail": trouble.detail}
    print(json.dumps(event), flush=True)
