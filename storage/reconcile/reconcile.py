"""Reconciling a container with its results: what got lost is found and sent round, what is half-written is mended.

    1  container and table side by side     images without a row for their content     -> classify-requests
    2  rows against sidecars and index      by fingerprints, one pass over each         -> who is under suspicion
    3  the suspects, one by one             read again, then mended                     -> sidecars, index rows

Per 1,000 images that is 0.2 requests for blobs, 1 for rows, 1 for rows again, 0.2 for sidecars and 2 for index rows, in
constant memory; where nothing is wrong it ends there, and nothing is written. A suspect costs about five requests more.

Left alone: ``failed`` rows (they are true; ``redrive`` sends them round again), results of another model (``backfill``
judges anew), results of blobs that are gone (unless asked to prune), sidecars that somebody copied among the images.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from storage.pipeline.classify_blob import is_sidecar
from storage.pipeline.messages import batches
from storage.query.join import OUTLINE, side_by_side
from storage.reconcile.audit import Suspects, all_claims, all_records, all_sidecars, audit
from storage.reconcile.fingerprints import Fingerprints
from storage.reconcile.repair import Mender
from storage.results.record import Image, same_etag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from storage.listing import Listed
    from storage.pipeline.classify_blob import Stores
    from storage.pipeline.queue import RequestQueue
    from storage.results.record import Record

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_MENDERS = 8  # suspects looked at at once: each waits for storage, not for a CPU
_AHEAD = 1000  # suspects in hand
_MAX_SIDECAR_BYTES = 1024 * 1024  # a thousand predictions with long labels; a larger file is none of ours

# A blob younger than this is most likely on its way: the trigger needs a moment, and a first retry a minute more.
_TIMER_GRACE_SECONDS = 120
# With more requests than this waiting, what an earlier round sent (or an outage delayed) is still being worked off.
# Sending it again each hour would fill the queue faster than it drains.
_TIMER_MAX_WAITING = 100


class Finding(NamedTuple):
    """One thing that was not as it should be: ``missing``, ``stale``, ``repaired``, ``index_removed`` or ``pruned``."""

    event: str
    image: str


@dataclass(slots=True)
class Summary:
    """What a reconciliation saw and did.

    Attributes:
        images: Blobs in the container, but for sidecars that somebody copied there.
        rows: Rows of images of the container.
        missing: Images without a row.
        stale: Images whose row is about an earlier content.
        enqueued: Images put on ``classify-requests``.
        repaired: Images whose sidecar or index rows were mended.
        index_removed: Index rows removed because nothing stands behind them.
        pruned: Images whose results were removed because the blob is gone.
        coverage: Share of images with a row for their current content, in [0, 1]; 1 where there is no image.
    """

    images: int = 0
    rows: int = 0
    missing: int = 0
    stale: int = 0
    enqueued: int = 0
    repaired: int = 0
    index_removed: int = 0
    pruned: int = 0
    coverage: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """The summary by name, in this order."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """How a container is reconciled. Running it twice, or while the app is at work, does no harm.

    Attributes:
        desk: Where images and outcomes are.
        queue: Where images are sent to be classified; ``None`` counts them only.
        container: The incoming container.
        grace_seconds: Images that changed less than this ago are on their way and not counted as lost; 0 spares none.
        prune: Remove row, index rows and sidecar of blobs that are gone.
        dry_run: Find everything, change nothing.
        tell: Called with each finding, as it is found.
    """

    stores: Stores
    queue: RequestQueue | None
    container: str
    grace_seconds: int = 0
    prune: bool = False
    dry_run: bool = False
    tell: Callable[[Finding], object] = lambda _finding: None

    def run(self) -> Summary:
        """Reconcile.

        Raises:
            TransientError: Storage failed for now; what was done is done.
            ConfigurationError: Storage refused.
        """
        summary = Summary()
        with_blob = Fingerprints()
        for request in batches(self.container, self._lost(summary, with_blob)):
            if self.queue is not None and not self.dry_run:
                self.queue.send(request)
                summary.enqueued += len(request.blobs)

        suspects = audit(self.stores.results, self.container, with_blob)
        summary.rows = suspects.rows
        for finding in self._mended(suspects):
            setattr(summary, finding.event, getattr(summary, finding.event) + 1)
            self.tell(finding)
        return summary

    def _lost(self, summary: Summary, with_blob: Fingerprints) -> Iterator[str]:
        """Yield the names of images without a row for their current content; count and tell."""
        covered = 0
        rows = self.stores.results.row_ranges(OUTLINE)
        horizon = self.stores.now() - timedelta(seconds=self.grace_seconds)
        for blob, record in side_by_side(self.stores.source.pages(self.container), self.container, rows):
            summary.images += 1
            if record is not None:
                with_blob.add(str(record.image))
            if record is not None and same_etag(record.etag, blob.etag):
                covered += 1
            elif self.grace_seconds and blob.last_modified > horizon:
                continue
            elif self._is_copied_sidecar(blob):
                summary.images -= 1
            else:
                finding = Finding("missing" if record is None else "stale", blob.name)
                setattr(summary, finding.event, getattr(summary, finding.event) + 1)
                self.tell(finding)
                yield blob.name
        summary.coverage = covered / summary.images if summary.images else 1.0

    def _is_copied_sidecar(self, blob: Listed) -> bool:
        """Whether the app ignores this blob, so that it never has a row. Costs a read, of ``.json`` files only."""
        if not blob.name.endswith(".json") or not 0 < blob.content_length <= _MAX_SIDECAR_BYTES:
            return False
        image = Image(self.container, blob.name)
        try:
            read = self.stores.source.read(image)
        except FileNotFoundError:
            return False
        return read is not None and is_sidecar(image, read.content)

    def _mended(self, suspects: Suspects) -> Iterator[Finding]:
        """Look at every suspect again, mend what is wrong, yield what was."""
        results = self.stores.results
        mender = Mender(self.stores, dry_run=self.dry_run)

        def of_row(record: Record) -> Finding | None:
            image = record.image
            gone = self.prune and record.container == self.container and suspects.has_blob_gone(record)
            if gone and mender.gone(image):
                return Finding("pruned", image.blob_name)
            repaired = suspects.has_sidecar(record) and mender.sidecar(image)
            repaired |= suspects.has_index_rows(record) and mender.index(image)
            return Finding("repaired", image.blob_name) if repaired else None

        if suspects.sidecars or suspects.index or (self.prune and suspects.gone):
            yield from _looked_at(all_records(results), suspects.has_record, of_row)
        if suspects.index:
            yield from _looked_at(
                all_claims(results),
                suspects.has_claim,
                lambda claim: (
                    Finding("index_removed", str(claim.columns.get("blob_name"))) if mender.lie(claim) else None
                ),
            )
        if suspects.sidecars and self.prune:
            yield from _looked_at(
                all_sidecars(results),
                lambda blob: blob.name in suspects.sidecars,
                lambda blob: (
                    Finding("pruned", blob.name.removesuffix(".json"))
                    if mender.orphan(blob.name, self.container)
                    else None
                ),
            )


def heal(stores: Stores, queue: RequestQueue, container: str) -> None:
    """Reconcile as a timer does: unasked, so it spares what is on its way, never prunes, and logs one line.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused.
    """
    waiting = queue.waiting()
    open_queue = queue if waiting <= _TIMER_MAX_WAITING else None
    summary = Reconciliation(stores, open_queue, container, grace_seconds=_TIMER_GRACE_SECONDS).run()
    told = " ".join(f"{name}={value}" for name, value in summary.as_dict().items())
    logger.info("container_reconciled container=%s %s requests_waiting=%d", container, told, waiting)


def _looked_at(
    items: Iterable[_T], suspect: Callable[[_T], bool], look: Callable[[_T], Finding | None]
) -> Iterator[Finding]:
    """Look at the suspects among the items, several at a time; yield the findings in the items' order."""
    suspects = filter(suspect, items)
    with ThreadPoolExecutor(_MENDERS, thread_name_prefix="mend") as pool:
        while chunk := list(islice(suspects, _AHEAD)):
            yield from filter(None, pool.map(look, chunk))
