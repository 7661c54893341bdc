"""Decides rows in two passes: one reads sidecars and shows what changes, the other writes.

Between them the rows wait in a temporary file, each with its sidecar, so that each sidecar is read once. Every write is
conditional on the ETag read, so an upload that came in between wins. The rows are the only checkpoint: one with this
decision's version is not read again.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from inference.errors import TransientError
from storage.actions.after_commit import Actions
from storage.results.amend import amend
from storage.results.transactions import BatchedResults
from tools.decide.decisions import Change, Counts, Decisions, Left

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    from storage.clients import Clients
    from storage.results.record import Image
    from storage.results.store import Results, Stored
    from tools.decide.kept_rows import KeptRows

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_READERS = 32  # each waits for storage nearly all of the time
_WRITERS = 250  # so many rows wait for transactions at once that most of these are full


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command. Not thread-safe.

    Attributes:
        decisions: Makes the decisions.
        counts: Of this run.
        stopping: Set to begin no more rows.
        on_failure: Called with an image that failed, and the sentence.
        actions: Act on each result whose label changes.
    """

    decisions: Decisions
    counts: Counts
    stopping: threading.Event
    on_failure: Callable[[Image, str], object]
    actions: Actions = field(default_factory=Actions)

    def read(self, results: Results, rows: Iterable[Stored], keep: KeptRows | None) -> None:
        """Read the sidecars of the rows to decide, count what changes, and write each row to ``keep``.

        Raises:
            TransientError: The rows could not be listed.
            ConfigurationError: Storage refused the request.
        """
        to_read = self._to_read(rows)
        for row, read in _on_threads(_READERS, partial(self._read, results), to_read):
            if isinstance(read, Left):
                self.counts.left[read] += 1
            elif isinstance(read, Change):
                self.counts.labels[read.before, read.after] += 1
                if keep is not None:
                    keep.add(read)
            else:
                self._fail(row, read)

    def write(self, results: BatchedResults, changes: Iterable[Change]) -> None:
        """Write the decisions, in groups.

        Raises:
            ConfigurationError: Storage refused the request.
        """
        begun = (change for change in changes if not self.stopping.is_set())
        for change, written in _on_threads(_WRITERS, partial(self._write, results), begun):
            if isinstance(written, TransientError):
                self._fail(change.found.row, written)
            elif written is None:
                self.counts.left[Left.IN_PROGRESS] += 1
            else:
                self.counts.decided += 1
                self.counts.changed += written != change.before

    def _to_read(self, rows: Iterable[Stored]) -> Iterator[Stored]:
        for row in rows:
            if self.stopping.is_set():
                return
            self.counts.listed += 1
            left = self.decisions.without_reading(row.record) if row.record else Left.NOT_CLASSIFIED
            if left is None:
                yield row
            else:
                self.counts.left[left] += 1

    def _read(self, results: Results, row: Stored) -> Change | Left | TransientError:
        try:
            return self.decisions.read(results, row)
        except TransientError as error:
            return error

    def _write(self, results: BatchedResults, change: Change) -> str | TransientError | None:
        """Write one row; return its label, or ``None`` where another attempt at the image was first."""
        row = change.found.row
        record = row.record if row else None
        assert record is not None  # see ``Decisions.read``
        try:
            with results.participating():
                notifier = self.actions.notifications
                decide = self.decisions.decide
                amended = amend(results, record.image, record.etag, decide, change.found, notifier=notifier)
                if amended is not None and amended.label != change.before:
                    self.actions.after_commit(results, amended)
        except TransientError as error:
            return error
        return str(amended.label) if amended else None

    def _fail(self, row: Stored | None, error: TransientError) -> None:
        self.counts.failed += 1
        if row is not None and row.record is not None:
            self.on_failure(row.record.image, str(error))


def grouping_results(clients: Clients, *, table: str, container: str) -> BatchedResults:
    """Return results for ``Run.write``, which group the writes of its threads."""
    return BatchedResults(clients, table=table, container=container, max_waiting=_WRITERS * 4 // 5)


def _on_threads(threads: int, work: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[tuple[_In, _Out]]:
    """Yield each item with its result, in order. Few items are taken in advance; those that were begun are ended."""
    with ThreadPoolExecutor(threads, thread_name_prefix="decide") as pool:
        running: deque[tuple[_In, Future[_Out]]] = deque()
        for item in items:
            running.append((item, pool.submit(work, item)))
            if len(running) >= 2 * threads:
                first, future = running.popleft()
                yield first, future.result()
        while running:
            first, future = running.popleft()
            yield first, future.result()
