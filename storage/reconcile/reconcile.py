"""Reconciles a container with its results: queues images without a current row, repairs inconsistent results.

    1  blobs joined with rows               images without a row for their content      -> classify-requests
    2  rows against sidecars and index      hashes, with one pass over each             -> candidates
    3  each candidate                       read again, then repaired                   -> sidecars, index rows

Per 1,000 images that is 0.2 requests for blobs, 1 for rows, 1 for rows again, 0.2 for sidecars and 2 for index rows, in
constant memory. Without candidates it ends there and writes nothing. A candidate costs about five more requests.

Left alone: ``failed`` rows (``redrive`` queues them again), results of another model (``backfill`` replaces them),
results of deleted blobs (unless ``prune`` is set), sidecars that were copied into the incoming container.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from inference.errors import ClassificationError
from storage.blobs import TooLargeError, UnreadBlobError
from storage.errors import ProtectedSidecarError
from storage.etags import same_etag
from storage.pipeline.messages import Request, batches
from storage.query.join import join_blobs_with_rows
from storage.reconcile.audit import Mismatches, all_index_rows, all_records, all_sidecars, audit
from storage.reconcile.bucket_hashes import BucketHashes
from storage.reconcile.findings import Finding, Summary
from storage.reconcile.repair import Repair
from storage.reconcile.tags import differing_tags
from storage.results.record import Image
from storage.results.serialization import MAX_SIDECAR_BYTES, SUMMARY_COLUMNS, is_sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.listing import Listed
    from storage.pipeline.queue import RequestQueue
    from storage.pipeline.stores import Stores
    from storage.results.record import IndexRow, Record

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_THREADS = 8  # candidates checked at once: each waits for storage, not for a CPU
_MAX_PENDING = 1000  # candidates in memory
_MAX_ALONE = 1000  # images with a message each; more are lost only when events were, so they share messages

# A younger blob is most likely being classified: the trigger needs a moment, and a first retry a minute more.
_TIMER_GRACE_SECONDS = 120
# With more requests than this in the queue, the app is still working on those of an earlier run or an outage. Queueing
# the same images each hour would fill the queue faster than it drains.
_TIMER_MAX_WAITING = 100


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Reconciles one container. Running it twice, or while the app is working, does no harm.

    Attributes:
        stores: Where images and outcomes are.
        queue: Receives the images to classify; ``None`` only counts them.
        container: The incoming container.
        grace_seconds: Images that changed less than this ago are not counted as lost, because the app may be working on
            them; 0 counts all.
        prune: Remove row, index rows and sidecar of deleted blobs.
        dry_run: Find everything, change nothing.
        on_finding: Called with each finding as soon as it is found.
    """

    stores: Stores
    queue: RequestQueue | None
    container: str
    grace_seconds: int = 0
    prune: bool = False
    dry_run: bool = False
    on_finding: Callable[[Finding], object] = lambda _finding: None

    def run(self) -> Summary:
        """Reconcile.

        Raises:
            TransientError: Storage failed for now; completed steps stay.
            ConfigurationError: Storage refused the request.
        """
        actions = self.stores.actions
        summary = Summary(
            tagged=None if actions.tags is None else 0, notified=None if actions.notifications is None else 0
        )
        with_blob = BucketHashes()
        for request in self._requests(self._lost(summary, with_blob)):
            self._send(request, summary)

        mismatches = audit(self.stores.results, self.container, with_blob)
        summary.rows = mismatches.rows
        for image in mismatches.unreadable:
            self._rewrite(image, summary)
        for finding in self._repaired(mismatches):
            self._report(finding, summary)
        for finding in chain(self._tagged(), self._notified()):
            self._report(finding, summary)
        return summary

    def _rewrite(self, image: Image, summary: Summary) -> None:
        """Write a row that cannot be read again from its sidecar, or have the image classified."""
        if self._repair.repair_row(image):
            self._report(Finding("repaired", image.blob_name), summary)
        elif self.stores.source.info(image) is not None:
            self._report(Finding("stale", image.blob_name), summary)
            self._send(Request(self.container, (image.blob_name,)), summary)
        elif self.prune and self._repair.prune_deleted(image):
            self._report(Finding("pruned", image.blob_name), summary)

    def _tagged(self) -> Iterator[Finding]:
        """Write the index tags that differ from the row, and yield the findings."""
        tags = self.stores.actions.tags
        if tags is None or not tags.are_supported(self.container):
            return

        def check(record: Record) -> Finding | None:
            is_tagged = self.dry_run or tags.write(record)
            return Finding("tagged", record.blob_name) if is_tagged else None

        yield from _check(differing_tags(self.stores, self.container), check)

    def _notified(self) -> Iterator[Finding]:
        """Send the messages that rows mark as due, and yield the findings."""
        notifications = self.stores.actions.notifications
        if notifications is None:
            return

        def check(record: Record) -> Finding | None:
            is_sent = self.dry_run or notifications.send_due(self.stores.results, record.image)
            return Finding("notified", record.blob_name) if is_sent else None

        newest = self.stores.now() - timedelta(seconds=self.grace_seconds)
        due = (
            record
            for record in all_records(self.stores.results)
            if record.notify_due and record.container == self.container and record.classified_at <= newest
        )
        yield from _check(due, check)

    @property
    def _repair(self) -> Repair:
        return Repair(self.stores, dry_run=self.dry_run)

    def _send(self, request: Request, summary: Summary) -> None:
        if self.queue is not None and not self.dry_run:
            self.queue.send(request)
            summary.enqueued += len(request.blobs)

    def _report(self, finding: Finding, summary: Summary) -> None:
        summary.count(finding)
        self.on_finding(finding)

    def _requests(self, lost: Iterator[str]) -> Iterator[Request]:
        """Yield the first images alone: one may be without a row because it ends the worker, and would take others."""
        for name in islice(lost, _MAX_ALONE):
            yield Request(self.container, (name,))
        yield from batches(self.container, lost)

    def _lost(self, summary: Summary, with_blob: BucketHashes) -> Iterator[str]:
        """Yield the names of images without a row for their current content; count and report them."""
        covered = 0
        rows = self.stores.results.row_reader(SUMMARY_COLUMNS)
        newest = self.stores.now() - timedelta(seconds=self.grace_seconds)
        for blob, record in join_blobs_with_rows(self.stores.source.pages(self.container), self.container, rows):
            summary.images += 1
            if record is not None:
                with_blob.add(str(record.image))
            if record is not None and same_etag(record.etag, blob.etag):
                covered += 1
            elif self.grace_seconds and blob.last_modified > newest:
                continue
            elif self._is_copied_sidecar(blob):
                summary.images -= 1
            else:
                self._report(Finding("missing" if record is None else "stale", blob.name), summary)
                yield blob.name
        if summary.images:
            summary.coverage = covered / summary.images
        else:
            summary.coverage = 1.0 if self.stores.source.has_container(self.container) else None

    def _is_copied_sidecar(self, blob: Listed) -> bool:
        """Whether the app ignores this blob, so that it never has a row. Reads small ``.json`` files only.

        One that cannot be read is no sidecar: the app will write a row about it.
        """
        if not blob.name.endswith(".json") or not 0 < blob.content_length <= MAX_SIDECAR_BYTES:
            return False
        try:
            source = self.stores.source.read(Image(self.container, blob.name))
        except (FileNotFoundError, TooLargeError, UnreadBlobError):
            return False
        return source is not None and is_sidecar(blob.name, source.content)

    def _repaired(self, mismatches: Mismatches) -> Iterator[Finding]:
        """Check every candidate, repair it, and yield the findings."""
        results, repair = self.stores.results, self._repair

        def check_row(record: Record) -> Finding | None:
            image = record.image
            may_prune = self.prune and record.container == self.container and mismatches.has_deleted_blob(record)
            if may_prune and repair.prune_deleted(image):
                return Finding("pruned", image.blob_name)
            repaired = mismatches.has_sidecar(record) and repair.repair_sidecar(image)
            repaired |= mismatches.has_index_rows(record) and repair.repair_index(image)
            return Finding("repaired", image.blob_name) if repaired else None

        def check_index_row(row: IndexRow) -> Finding | None:
            removed = repair.remove_false_index_row(row)
            return Finding("index_removed", str(row.columns.get("blob_name"))) if removed else None

        def check_sidecar(blob: Listed) -> Finding | None:
            pruned = repair.prune_orphan(blob.name, self.container)
            return Finding("pruned", blob.name.removesuffix(".json")) if pruned else None

        if mismatches.sidecars or mismatches.index or (self.prune and mismatches.deleted):
            yield from _check(filter(mismatches.has_record, all_records(results)), check_row)
        if mismatches.index:
            yield from _check(filter(mismatches.has_index_row, all_index_rows(results)), check_index_row)
        if mismatches.sidecars and self.prune:
            candidates = (blob for blob in all_sidecars(results) if blob.name in mismatches.sidecars)
            yield from _check(candidates, check_sidecar)


def reconcile_on_timer(stores: Stores, queue: RequestQueue, container: str) -> None:
    """Reconcile for the timer: spares images of the last two minutes, prunes nothing, logs one line.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused the request.
    """
    waiting = queue.approximate_message_count()
    open_queue = queue if waiting <= _TIMER_MAX_WAITING else None
    summary = Reconciliation(stores, open_queue, container, grace_seconds=_TIMER_GRACE_SECONDS).run()
    counts = " ".join(f"{name}={value}" for name, value in summary.as_dict().items())
    logger.info("container_reconciled container=%s %s requests_waiting=%d", container, counts, waiting)


def _check(candidates: Iterator[_T], check: Callable[[_T], Finding | None]) -> Iterator[Finding]:
    """Check candidates, several at a time; yield the findings in the order of the candidates.

    An error without a class is a fault of this app that one candidate meets: the others are checked all the same.
    """

    def check_alone(candidate: _T) -> Finding | None:
        try:
            return check(candidate)
        except ProtectedSidecarError as error:
            logger.warning("sidecar_protected error=%s", error)
            return None
        except ClassificationError:
            raise
        except Exception:
            logger.exception("candidate_not_checked candidate=%r", candidate)
            return None

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="reconcile") as pool:
        while chunk := list(islice(candidates, _MAX_PENDING)):
            yield from filter(None, pool.map(check_alone, chunk))
