"""Backfills on this machine: lists the selection, and gives the pipeline every image that has to be classified."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from inference.errors import TransientError
from storage.pipeline.outcome import Finished, Outcome
from storage.refusals import FailureReason
from storage.results.record import Status
from tools.backfill.counts import Problem
from tools.backfill.pipeline import DELAYS_SECONDS, GivenUp
from tools.backfill.selection import pending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.backfill.counts import Counts
    from tools.backfill.pipeline import Pipeline
    from tools.backfill.selection import Found

_AHEAD = 1000  # names that are listed in advance, so that the pipeline has work while the next page is listed


def run_locally(selection: Iterable[Found], pipeline: Pipeline, counts: Counts, limit: int | None = None) -> None:
    """Classify the images that have to be, at most ``limit``. Images that were begun are always finished.

    A listing that fails is restarted after a delay; images with a result are then skipped.

    Raises:
        TransientError: Every attempt to list failed.
        ConfigurationError: The deployment is at fault; no more images were begun.
    """
    for delay in (*DELAYS_SECONDS, None):
        try:
            _run_once(selection, pipeline, counts, limit)
        except TransientError:
            if delay is None or pipeline.stopping.wait(delay):
                raise
            counts.restart_listing()
        else:
            return


def _run_once(selection: Iterable[Found], pipeline: Pipeline, counts: Counts, limit: int | None) -> None:
    ahead = threading.Semaphore(pipeline.threads + _AHEAD)
    errors: list[BaseException] = []

    def classify(found: Found) -> None:
        if not pipeline.stopping.is_set():
            _count(found, pipeline.classify(found.image, is_new=found.record is None), counts)

    def finish(future: Future[None]) -> None:
        ahead.release()
        error = future.exception()
        if error is not None:
            errors.append(error)
            pipeline.stopping.set()

    with ThreadPoolExecutor(pipeline.threads, thread_name_prefix="backfill") as pool:
        for found in pending(selection, counts, limit, pipeline.stopping):
            ahead.acquire()
            pool.submit(classify, found).add_done_callback(finish)
    if errors:
        raise errors[0]


def _count(found: Found, result: Finished | GivenUp | None, counts: Counts) -> None:
    if isinstance(result, GivenUp):
        reason = str(FailureReason.GAVE_UP) if result.is_recorded else "not_written"
        counts.add_problem(Problem(Status.FAILED, found.image.blob_name, reason, result.error))
    elif result is not None:
        if result.outcome is Outcome.COMMITTED and result.record is not None:
            counts.add_result(result.record)
        else:
            counts.add_skipped(result.record)
