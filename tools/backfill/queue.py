"""Backfilling there: requests on ``classify-requests``, for the app to serve, and watching until it has."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.pipeline.messages import batches
from storage.results.record import Status
from tools.backfill.selection import Why, to_do

if TYPE_CHECKING:
    import threading
    from datetime import datetime

    from storage.pipeline.queue import RequestQueue
    from tools.backfill.counts import Counts
    from tools.backfill.selection import Found, Selection

_FIRST_LOOK_SECONDS = 2.0
_LAST_LOOK_SECONDS = 60.0
_REST = 4  # a look costs a whole listing: rest this many times as long as it took
_IDLE_LOOKS = 3  # this often the queue is empty and nothing changes: nobody is working for us any more


def enqueue(
    selection: Selection, queue: RequestQueue, counts: Counts, stopping: threading.Event, limit: int | None = None
) -> None:
    """Send what is to do, at most ``limit`` images.

    Raises:
        TransientError: Storage failed; what was sent is sent.
        ConfigurationError: Storage refused.
    """
    names = (found.image.blob_name for found in to_do(selection, counts, limit, stopping))
    for request in batches(selection.container, names, redo_before=selection.redo_before):
        queue.send(request)
        counts.enqueued += len(request.blobs)


@dataclass(slots=True)
class Look:
    """How far the app has come, by the table: images of the whole selection."""

    classified: int = 0
    rejected: int = 0
    failed: int = 0
    waiting: int = 0
    other_model: str | None = None


def watch(
    selection: Selection, queue: RequestQueue, counts: Counts, stopping: threading.Event, started: datetime
) -> Look:
    """Look at the table until nothing waits any more, ever less often while nothing changes, and tell on stderr.

    Ends too when the queue is empty and nothing changes: then nobody is at work on what still waits.

    Args:
        selection: Images, enqueued before.
        queue: Where they were sent.
        counts: Gets what the app made of them.
        stopping: Set when the person has seen enough; the app works on.
        started: A ``failed`` row that is younger ends the waiting for its image; aware UTC.

    Raises:
        TransientError: Storage failed.
        ConfigurationError: Storage refused.
    """
    pause, idle = _FIRST_LOOK_SECONDS, 0
    skipped, rejected_earlier = counts.skipped, counts.rejected_earlier
    last: Look | None = None
    while True:
        began = time.monotonic()
        look = _look(selection, counts, started)
        took = time.monotonic() - began
        counts.rejected = max(0, look.rejected - rejected_earlier)
        counts.classified = max(0, look.classified - (skipped - rejected_earlier))
        counts.failed = look.failed
        print(
            f"{counts.done:,} of {counts.enqueued:,} settled, {counts.rejected:,} rejected, {counts.failed:,} failed, "
            f"{look.waiting:,} to come",
            file=sys.stderr,
            flush=True,
        )
        if look == last:
            pause = min(2 * pause, _LAST_LOOK_SECONDS)
            idle = idle + 1 if queue.approximate_message_count() == 0 else 0
        else:
            pause, idle = _FIRST_LOOK_SECONDS, 0
        last = look
        if not look.waiting or idle == _IDLE_LOOKS or stopping.wait(max(pause, _REST * took)):
            return look


def _look(selection: Selection, counts: Counts, started: datetime) -> Look:
    look = Look()
    for found in selection:
        status = _ended(found, started)
        if status is Status.CLASSIFIED:
            look.classified += 1
        elif status is Status.REJECTED:
            look.rejected += 1
        elif status is Status.FAILED:
            look.failed += 1
        else:
            look.waiting += 1
            if found.why is Why.MODEL and found.record is not None:
                look.other_model = f"{found.record.model} {found.record.model_version}"
        if status is not None and found.record is not None:
            counts.remember(found.record)
    return look


def _ended(found: Found, started: datetime) -> Status | None:
    """How the work on an image ended; ``None`` while it waits."""
    if found.record is None:
        return None
    given_up = found.why is Why.FAILED and found.record.classified_at >= started
    return found.record.status if found.why is None or given_up else None
