"""Backfills by the app: sends requests to ``classify-requests``, and on request waits for the results in the table."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.pipeline.messages import batches
from storage.results.record import Status
from tools.backfill.selection import Reason, pending

if TYPE_CHECKING:
    import threading
    from datetime import datetime

    from storage.pipeline.queue import RequestQueue
    from tools.backfill.counts import Counts
    from tools.backfill.selection import Found, Selection

_FIRST_PAUSE_SECONDS = 2.0
_LAST_PAUSE_SECONDS = 60.0
_PAUSE_PER_SCAN = 4  # a scan lists everything, so the pause is at least so many times as long as the scan
_IDLE_SCANS = 3  # an empty queue and no change for so many scans: the app does not work on it


def enqueue(
    selection: Selection, queue: RequestQueue, counts: Counts, stopping: threading.Event, limit: int | None = None
) -> None:
    """Send the images that have to be classified, at most ``limit``.

    Raises:
        TransientError: Storage failed; some requests may be sent.
        ConfigurationError: Storage refused the request.
    """
    names = (found.image.blob_name for found in pending(selection, counts, limit, stopping))
    for request in batches(selection.container, names, redo_before=selection.redo_before):
        queue.send(request)
        counts.enqueued += len(request.blobs)


@dataclass(slots=True)
class Scan:
    """The results of all images of the selection, as the table has them.

    Attributes:
        waiting: Images without a result.
        other_model: Name and version of another model that has classified one of the waiting images.
    """

    classified: int = 0
    damaged: int = 0
    rejected: int = 0
    failed: int = 0
    waiting: int = 0
    other_model: str | None = None


def watch(
    selection: Selection, queue: RequestQueue, counts: Counts, stopping: threading.Event, started: datetime
) -> Scan:
    """Scan the table until every image has its result, with longer pauses while nothing changes; report on stderr.

    Also ends if the queue is empty and nothing changes, which means that the app does not work on the rest.

    Args:
        selection: The images, enqueued before.
        queue: Where they were sent.
        counts: Gets the app's results.
        stopping: Set to end the watch; the app continues.
        started: A ``failed`` row from this time on counts as a result; aware UTC.

    Returns:
        The last scan.

    Raises:
        TransientError: Storage failed.
        ConfigurationError: Storage refused the request.
    """
    pause, idle = _FIRST_PAUSE_SECONDS, 0
    skipped, rejected_earlier, damaged_earlier = counts.skipped, counts.rejected_earlier, counts.damaged_earlier
    last: Scan | None = None
    while True:
        began = time.monotonic()
        scan = _scan(selection, counts, started)
        seconds = time.monotonic() - began
        counts.rejected = max(0, scan.rejected - rejected_earlier)
        counts.classified = max(0, scan.classified - (skipped - rejected_earlier))
        counts.damaged = max(0, scan.damaged - damaged_earlier)
        counts.failed = scan.failed
        print(
            f"{counts.done:,} of {counts.enqueued:,} done, {counts.rejected:,} rejected, {counts.failed:,} failed, "
            f"{scan.waiting:,} waiting",
            file=sys.stderr,
            flush=True,
        )
        if scan == last:
            pause = min(2 * pause, _LAST_PAUSE_SECONDS)
            idle = idle + 1 if queue.approximate_message_count() == 0 else 0
        else:
            pause, idle = _FIRST_PAUSE_SECONDS, 0
        last = scan
        if not scan.waiting or idle == _IDLE_SCANS or stopping.wait(max(pause, _PAUSE_PER_SCAN * seconds)):
            return scan


def _scan(selection: Selection, counts: Counts, started: datetime) -> Scan:
    scan = Scan()
    for found in selection:
        status = _result(found, started)
        if status is Status.CLASSIFIED:
            scan.classified += 1
            scan.damaged += found.record is not None and found.record.damaged
        elif status is Status.REJECTED:
            scan.rejected += 1
        elif status is Status.FAILED:
            scan.failed += 1
        else:
            scan.waiting += 1
            if found.reason is Reason.MODEL and found.record is not None:
                scan.other_model = f"{found.record.model} {found.record.model_version}"
        if status is not None and found.record is not None:
            counts.keep_problem(found.record)
    return scan


def _result(found: Found, started: datetime) -> Status | None:
    """Return the status of an image's result; ``None`` while it waits."""
    if found.record is None:
        return None
    given_up = found.reason is Reason.FAILED and found.record.classified_at >= started
    return found.record.status if found.reason is None or given_up else None
