"""Selects the images of a backfill and the reason why each has to be classified. The table is the only checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from storage.etags import same_etag
from storage.query.join import join_blobs_with_rows
from storage.refusals import FailureReason
from storage.results.commit import is_done
from storage.results.record import Image, Record, Status
from storage.results.serialization import SUMMARY_COLUMNS

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from storage.listing import Listed
    from storage.pipeline.stores import Stores
    from tools.backfill.counts import Counts


class Reason(StrEnum):
    """Why an image has to be classified."""

    NEW = "new"  # it has no row
    CHANGED = "changed"  # its row describes earlier content
    FAILED = "failed"  # the app gave it up
    MODEL = "model"  # another model classified it
    FORCED = "forced"  # --force


class Found(NamedTuple):
    """An image of the selection.

    Attributes:
        image: Its container and name.
        record: The summary columns of its row, if it has one.
        reason: Why it has to be classified; ``None`` if it has its result.
    """

    image: Image
    record: Record | None
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Images of one container. Iterating joins the listing with the table in constant memory.

    Attributes:
        stores: Images and results.
        container: The incoming container.
        model_version: Only results of this version count.
        prefix: Beginning of the names.
        glob: Pattern of whole names: ``*`` also matches ``/``, and case matters, as in blob names.
        exclude: Patterns of names to leave out, in the same form.
        since: Only blobs changed at this time or later; aware UTC.
        redo_before: Only results from this time on count; aware UTC.
        columns: Columns of the rows that are read beside the summary.
    """

    stores: Stores
    container: str
    model_version: str
    prefix: str | None = None
    glob: str | None = None
    exclude: tuple[str, ...] = ()
    since: datetime | None = None
    redo_before: datetime | None = None
    columns: tuple[str, ...] = ("reason", "detail", "damaged")

    def __iter__(self) -> Iterator[Found]:
        """Yield every image of the selection by name.

        Raises:
            TransientError: Storage failed temporarily.
            ConfigurationError: Storage refused the request.
        """
        listing = self.stores.source.pages(self.container, prefix=self.prefix)
        pages = ([blob for blob in page if self._contains(blob)] for page in listing)
        rows = self.stores.results.row_reader((*SUMMARY_COLUMNS, *self.columns))
        for blob, record in join_blobs_with_rows(pages, self.container, rows):
            yield Found(Image(self.container, blob.name), record, self._reason(blob, record))

    def _contains(self, blob: Listed) -> bool:
        is_recent = self.since is None or blob.last_modified >= self.since
        is_named = self.glob is None or fnmatchcase(blob.name, self.glob)
        return is_recent and is_named and not any(fnmatchcase(blob.name, pattern) for pattern in self.exclude)

    def _reason(self, blob: Listed, record: Record | None) -> Reason | None:
        if record is None:
            return Reason.NEW
        if is_done(record, blob.etag, self.model_version, self.redo_before):
            return None
        if not same_etag(record.etag, blob.etag):
            return Reason.CHANGED
        if self._is_still_refused(blob, record):
            return None
        if record.status is Status.FAILED:
            return Reason.FAILED
        return Reason.MODEL if record.model_version != self.model_version else Reason.FORCED

    def _is_still_refused(self, blob: Listed, record: Record) -> bool:
        """Whether storage refused this content and nothing in the listing says that it would not refuse it again."""
        if record.reason == FailureReason.ARCHIVED:
            return blob.is_archived  # a rehydrated blob keeps its ETag and leaves the tier
        is_forced = self.redo_before is not None and record.classified_at < self.redo_before
        return record.reason == FailureReason.UNREADABLE and not is_forced


def pending(found: Iterable[Found], counts: Counts, limit: int | None, stopping: threading.Event) -> Iterator[Found]:
    """Yield the images that have to be classified, at most ``limit``, until ``stopping`` is set; count all images."""
    for each in found:
        if stopping.is_set() or (each.reason is not None and counts.pending == limit):
            return
        counts.listed += 1
        if each.reason is None:
            counts.add_skipped(each.record)
        else:
            counts.pending += 1
            yield each
