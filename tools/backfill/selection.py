"""Which images a backfill is about, and what there is to do about each. The table is the only checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from storage.etags import same_etag
from storage.query.join import join_blobs_with_rows
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


class Why(StrEnum):
    """Why there is something to do about an image."""

    NEW = "new"  # it has no row
    CHANGED = "changed"  # its row is about an earlier content
    FAILED = "failed"  # it was given up
    MODEL = "model"  # another model judged it
    FORCED = "forced"  # a person asked for another judgement


class Found(NamedTuple):
    """An image of the selection.

    Attributes:
        image: Which one.
        record: The outline of its row, where there is one.
        why: Why there is something to do; ``None`` when it is done.
    """

    image: Image
    record: Record | None
    why: Why | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Images of one container; iterating lists the container and the table side by side, in constant memory.

    Attributes:
        desk: Where images and outcomes are.
        container: The incoming container.
        model_version: Whose judgement counts as done.
        prefix: What names begin with.
        glob: What whole names match: ``*`` also matches ``/``, and upper case is not lower case, as in blob names.
        since: Blobs changed at this moment or later; aware UTC.
        redo_before: Outcomes older than this do not count as done; aware UTC.
    """

    stores: Stores
    container: str
    model_version: str
    prefix: str | None = None
    glob: str | None = None
    since: datetime | None = None
    redo_before: datetime | None = None

    def __iter__(self) -> Iterator[Found]:
        """Yield every image of the selection by name.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused.
        """
        listing = self.stores.source.pages(self.container, prefix=self.prefix)
        pages = ([blob for blob in page if self._holds(blob)] for page in listing)
        rows = self.stores.results.row_reader((*SUMMARY_COLUMNS, "reason", "detail"))
        for blob, record in join_blobs_with_rows(pages, self.container, rows):
            yield Found(Image(self.container, blob.name), record, self._why(blob, record))

    def _holds(self, blob: Listed) -> bool:
        in_time = self.since is None or blob.last_modified >= self.since
        return in_time and (self.glob is None or fnmatchcase(blob.name, self.glob))

    def _why(self, blob: Listed, record: Record | None) -> Why | None:
        if record is None:
            return Why.NEW
        if is_done(record, blob.etag, self.model_version, self.redo_before):
            return None
        if not same_etag(record.etag, blob.etag):
            return Why.CHANGED
        if record.status is Status.FAILED:
            return Why.FAILED
        return Why.MODEL if record.model_version != self.model_version else Why.FORCED


def to_do(found: Iterable[Found], counts: Counts, limit: int | None, stopping: threading.Event) -> Iterator[Found]:
    """Yield what there is something to do about, at most ``limit`` images and until asked to stop; count it all."""
    for each in found:
        if stopping.is_set() or (each.why is not None and counts.to_do == limit):
            return
        counts.listed += 1
        if each.why is None:
            counts.skip(each.record)
        else:
            counts.to_do += 1
            yield each
