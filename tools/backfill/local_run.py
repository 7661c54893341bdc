"""Backfilling here: the selection is listed, and the line settles what there is to do, until done or asked to stop."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from inference.errors import TransientError
from storage.pipeline.classify_blob import Finished, Outcome
from storage.results.record import Status
from tools.backfill.counts import Trouble
from tools.backfill.pipeline import DELAYS_SECONDS, Unsettled
from tools.backfill.selection import to_do

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.backfill.counts import Counts
    from tools.backfill.pipeline import Line
    from tools.backfill.selection import Found

_AHEAD = 1000  # names in hand, so that the line has work while the next page is listed


def backfill_here(selection: Iterable[Found], line: Line, counts: Counts, limit: int | None = None) -> None:
    """Settle what the selection says is to do, at most ``limit`` images; what is in flight is always finished.

    A listing that fails is begun again, after a while: the table knows what is done.

    Raises:
        TransientError: Listing failed again and again.
        ConfigurationError: The deployment is at fault; nothing more was begun.
    """
    for delay in (*DELAYS_SECONDS, None):
        try:
            _pass(selection, line, counts, limit)
        except TransientError:
            if delay is None or line.stopping.wait(delay):
                raise
            counts.list_again()
        else:
            return


def _pass(selection: Iterable[Found], line: Line, counts: Counts, limit: int | None) -> None:
    ahead = threading.Semaphore(line.threads + _AHEAD)
    errors: list[BaseException] = []

    def classify_blob(found: Found) -> None:
        if not line.stopping.is_set():
            _note(found, line.classify_blob(found.image, is_new=found.record is None), counts)

    def ended(future: Future[None]) -> None:
        ahead.release()
        error = future.exception()
        if error is not None:
            errors.append(error)
            line.stopping.set()

    with ThreadPoolExecutor(line.threads, thread_name_prefix="backfill") as pool:
        for found in to_do(selection, counts, limit, line.stopping):
            ahead.acquire()
            pool.submit(classify_blob, found).add_done_callback(ended)
    if errors:
        raise errors[0]


def _note(found: Found, outcome: Finished | Unsettled | None, counts: Counts) -> None:
    if isinstance(outcome, Unsettled):
        reason = "gave_up" if outcome.written else "not_written"
        counts.fail(Trouble(Status.FAILED, found.image.blob_name, reason, outcome.error))
    elif outcome is not None:
        if outcome.outcome is Outcome.COMMITTED and outcome.record is not None:
            counts.classify_blob(outcome.record)
        else:
            counts.skip(outcome.record)
