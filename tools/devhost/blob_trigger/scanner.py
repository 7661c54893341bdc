"""Discovery by listing: every blob written since the last sweep becomes one message for each function that matches it.

The safe form of the Functions host's algorithm. A sweep lists the whole container. W is the lowest Last-Modified
still of interest; it moves only when a sweep has reached its last page, so a blob written during a sweep is never
skipped. The comparison includes W itself, because Last-Modified has one-second precision; receipts absorb repeats.

    |----------- older: known -----------| W - GRACE |---- looked at ----| S: when this sweep began |-- next sweep --|
"""

from __future__ import annotations

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from azure.core.exceptions import AzureError, ResourceNotFoundError

from tools.devhost.accounts import AT_ONCE, describe, restore_container
from tools.devhost.blob_trigger.receipts import queue_once
from tools.devhost.messages import BlobTriggerMessage

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from azure.storage.blob import BlobProperties, ContainerClient

    from tools.devhost.accounts import Account
    from tools.devhost.blob_trigger.patterns import PathPattern

logger = logging.getLogger(__name__)

# Azurite stamps a blob when its upload begins but shows it when it has ended: a slow upload appears in the past.
GRACE = timedelta(seconds=60)
LOCAL_PAUSE_SECONDS = 0.3
REMOTE_PAUSE_SECONDS = 10.0  # the Functions host's own; each sweep costs money there
# A big container is listed less often, so that listing takes at most a fifth of the time.
_PAUSE_PER_LISTING = 4.0
_LONGEST_PAUSE_SECONDS = 5.0  # between attempts while storage does not answer
_HAND_OFF_THREADS = 8
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class Target(NamedTuple):
    """A function and the blobs that it is called for."""

    function_id: str
    pattern: PathPattern


class ContainerScanner:
    """Watches one container for all functions that name it. One thread runs it; hints may come from any."""

    def __init__(  # noqa: PLR0913 - keyword-only, named at its one call
        self,
        *,
        account: Account,
        container: str,
        hosts: ContainerClient,
        host_id: str,
        targets: list[Target],
        enqueue: Callable[[BlobTriggerMessage], None],
    ) -> None:
        self._account = account
        self._container = account.container(container)
        self._hosts = hosts
        self._host_id = host_id
        self._targets = targets
        self._enqueue = enqueue
        self._checkpoint = hosts.get_blob_client(f"blobscaninfo/{host_id}/{account.name}/{container}/scanInfo")
        self._watermark = _BEGINNING
        self._saved = _BEGINNING
        self._handed_off: dict[tuple[str, str], datetime] = {}
        self._pending: set[str] = set()
        self._errors: dict[str, str] = {}  # storage's answers to hand-offs that must be tried again, by blob
        self._reported: set[str] = set()
        self._sweep_started = _BEGINNING
        self._listing_seconds = 0.0  # of the last sweep, without the time to queue its finds
        self.pause_seconds = LOCAL_PAUSE_SECONDS if account.is_local else REMOTE_PAUSE_SECONDS

    def look_at(self, blob_name: str) -> None:
        """Take a hint: this blob is new, also when the listing shows nothing new."""
        self._pending.add(blob_name)

    def run(self, stopping: threading.Event) -> None:
        """Sweep until ``stopping`` is set."""
        name = f"scanner of {self._container.container_name}"
        loaded = False
        pause = self.pause_seconds
        with ThreadPoolExecutor(_HAND_OFF_THREADS, thread_name_prefix="scanner") as hand_off:
            while not stopping.is_set():
                pause = min(2 * pause, max(pause, _LONGEST_PAUSE_SECONDS))
                with self._account.watch(name):
                    loaded = loaded or self._load_checkpoint()
                    self._sweep(hand_off, stopping)
                    pause = max(self.pause_seconds, _PAUSE_PER_LISTING * self._listing_seconds)
                stopping.wait(pause)

    def _sweep(self, hand_off: ThreadPoolExecutor, stopping: threading.Event) -> None:
        names = [self._pending.pop() for _ in range(len(self._pending))]
        lower = self._watermark - GRACE if self._watermark > _BEGINNING else _BEGINNING
        highest = self._watermark
        pages: Any = self._container.list_blobs(raw_response_hook=self._note_time, **AT_ONCE).by_page()
        self._listing_seconds, number = 0.0, 0
        try:
            while True:
                began = time.monotonic()
                blobs: list[BlobProperties] = list(next(pages, ()))
                self._listing_seconds += time.monotonic() - began
                # Only the first page shows a moment; later ones may hold blobs written after the sweep began, whose
                # neighbours on earlier pages we have not seen.
                is_whole = number == 0 and not pages.continuation_token
                fresh = [
                    blob
                    for blob in blobs
                    if lower <= blob.last_modified and (is_whole or blob.last_modified <= self._sweep_started)
                ]
                new = [blob for blob in fresh if (blob.name, blob.etag) not in self._handed_off]
                for blob, done in zip(new, hand_off.map(self._offer, [blob.name for blob in new]), strict=True):
                    self._remember(blob, done=done)
                highest = max([highest, *(blob.last_modified for blob in fresh)])
                number += 1
                if stopping.is_set():
                    return
                if not pages.continuation_token:
                    break
        except ResourceNotFoundError:
            restore_container(self._container)
            return
        finally:
            for name, done in zip(names, hand_off.map(self._offer, names), strict=True):
                if not done:
                    self._pending.add(name)
            self._report_errors()
        self._watermark = highest
        self._handed_off = {key: when for key, when in self._handed_off.items() if when >= highest - GRACE}
        self._save_checkpoint()

    def _note_time(self, response: Any) -> None:
        """Take "now" from the service's clock when a sweep's first answer comes; ours may be wrong."""
        request, headers = response.http_request, response.http_response.headers
        if "marker=" not in request.url and "Date" in headers:
            self._sweep_started = parsedate_to_datetime(headers["Date"])

    def _remember(self, blob: BlobProperties, *, done: bool) -> None:
        if done:
            self._handed_off[(blob.name, blob.etag)] = blob.last_modified
        else:
            self._pending.add(blob.name)

    def _offer(self, blob_name: str) -> bool:
        """Queue one blob for every function that matches it. False: try again in the next sweep."""
        container = self._container.container_name
        targets = [target for target in self._targets if target.pattern.match(container, blob_name) is not None]
        if not targets:
            return True
        try:
            properties = self._container.get_blob_client(blob_name).get_blob_properties()
        except ResourceNotFoundError:
            self._errors.pop(blob_name, None)
            return True  # deleted since it was listed
        except AzureError as error:
            self._errors[blob_name] = f"{describe(error)}, reading its properties"
            return False
        kind = str(getattr(properties.blob_type, "value", properties.blob_type))
        done = True
        try:
            for target in targets:
                message = BlobTriggerMessage(target.function_id, container, blob_name, str(properties.etag), kind)
                done &= queue_once(self._hosts, self._host_id, message, partial(self._enqueue, message))
        except AzureError as error:
            self._errors[blob_name] = f"{describe(error)}, writing its receipt and message"
            return False
        self._errors.pop(blob_name, None)
        return done

    def _report_errors(self) -> None:
        """Log one warning for all blobs whose hand-off failed for the first time, and one when every blob is queued."""
        name = self._container.container_name
        if new := self._errors.keys() - self._reported:
            first = min(new)
            logger.warning("hand_off_failed container=%s blobs=%d first=%s error=%s; tried again with each listing",
                           name, len(new), json.dumps(first), self._errors[first])  # fmt: skip
        elif self._reported and not self._errors:
            logger.warning("hand_off_completed container=%s: every blob is queued", name)
        self._reported = set(self._errors)

    def _load_checkpoint(self) -> bool:
        try:
            saved = json.loads(self._checkpoint.download_blob(**AT_ONCE).readall())["LatestScan"]
            self._watermark = self._saved = datetime.fromisoformat(saved).astimezone(UTC)
        except ResourceNotFoundError:
            pass
        except (ValueError, KeyError, TypeError):
            logger.warning("checkpoint_unreadable container=%s; every blob is checked again, receipts prevent repeats",
                           self._container.container_name)  # fmt: skip
        return True

    def _save_checkpoint(self) -> None:
        safe = self._watermark - timedelta(milliseconds=1) if self._watermark > _BEGINNING else _BEGINNING
        # A hand-off that failed lives in memory only: until it is done, the checkpoint must not pass it.
        if self._pending or safe <= self._saved:
            return
        document = json.dumps({"LatestScan": safe.isoformat(timespec="milliseconds").replace("+00:00", "Z")})
        try:
            self._checkpoint.upload_blob(document.encode(), overwrite=True)
        except ResourceNotFoundError:  # the container was deleted
            restore_container(self._hosts)
            return
        self._saved = safe
