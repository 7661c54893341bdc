"""Repairs the results of one image: its sidecar, its index rows, and the results of a deleted blob.

Candidates are re-read before any change, and every write is conditional on the ETag just read, or checked afterwards.
Attempts that run meanwhile follow the commit protocol and lose nothing to these steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from storage.errors import ConflictError
from storage.etags import same_etag
from storage.results.amend import amend
from storage.results.commit import commit, same_attempt
from storage.results.index_rows import index_rows
from storage.results.record import Image, IndexRow, Status
from storage.results.serialization import to_entity

if TYPE_CHECKING:
    from datetime import datetime

    from storage.keys import RowKeys
    from storage.pipeline.stores import Stores
    from storage.results.record import Record
    from storage.results.store import Stored


@dataclass(frozen=True, slots=True)
class Repair:
    """Repairs one image at a time. Thread-safe.

    Each method returns whether there was something to do, and raises ``TransientError`` or ``ConfigurationError`` when
    storage fails.

    Attributes:
        stores: Where images and outcomes are.
        dry_run: Find what there is to do and leave it undone.
    """

    stores: Stores
    dry_run: bool = False

    def repair_sidecar(self, image: Image) -> bool:
        """Make the sidecar agree with the row, or finish the attempt or decision that died between sidecar and row.

        Images whose blob has newer content (another attempt is due) or is deleted are left alone. So is a sidecar
        in the archive tier, which cannot be compared. A sidecar that is written from the row has the scores of all
        labels only where the replaced sidecar had them.
        """
        # Sidecar first: one that is newer than the row then belongs to an attempt that has yet to write its row.
        sidecar = self.stores.results.read_sidecar(image)
        row = self.stores.results.read_row(image)
        written = sidecar.record if sidecar else None
        is_archived = sidecar is not None and sidecar.is_archived
        if row is None or row.record is None or is_archived or (written and same_outcome(written, row.record)):
            return False
        if not self.stores.source.is_current(image, row.record.etag):
            return False
        if self.dry_run:
            return True
        if written is not None and self._finish(written, row, row.record):
            return True
        try:
            self.stores.results.write_sidecar(_with_scores(row.record, written), sidecar)
        except ConflictError:
            return False
        return True

    def repair_row(self, image: Image) -> bool:
        """Write a row that cannot be read again from its sidecar, with its index rows.

        Without a sidecar of the blob's current content there is nothing to write: the image has to be classified.
        """
        sidecar = self.stores.results.read_sidecar(image)
        row = self.stores.results.read_row(image)
        written = sidecar.record if sidecar else None
        if row is None or row.record is not None or written is None or written.image != image:
            return False
        if not self.stores.source.is_current(image, written.etag):
            return False
        return self.dry_run or self._commit(written, row) is not None

    def repair_index(self, image: Image) -> bool:
        """Write the index rows of the row that are missing or differ."""
        row = self.stores.results.read_row(image)
        expected = index_rows(row.record) if row and row.record else ()
        missing = [index_row for index_row in expected if not self._is_written(index_row)]
        if not missing or self.dry_run:
            return bool(missing)
        for index_row in missing:
            self.stores.results.write_index_row(index_row)
        # An attempt that writes another outcome has removed these index rows, or will: they must not come back. A
        # decision has written some of them with its own columns, or will.
        kept = self._kept_index_rows(image)
        for index_row in missing:
            latest = kept.get(index_row.keys)
            if latest is None:
                self.stores.results.delete_index_row(index_row.keys)
            elif latest.canonical_text() != index_row.canonical_text():
                self.stores.results.write_index_row(latest)
        return True

    def remove_false_index_row(self, index_row: IndexRow) -> bool:
        """Remove an index row that belongs neither to its image's row nor to an attempt that has yet to write one."""
        container, blob_name = index_row.columns.get("container"), index_row.columns.get("blob_name")
        image = Image(container, blob_name) if isinstance(container, str) and isinstance(blob_name, str) else None
        if image is not None and container and blob_name:
            sidecar = self.stores.results.read_sidecar(image)  # before the row: an attempt writes them in this order
            expected = self._index_keys_of_row(image)
            if sidecar is not None and sidecar.record is not None:
                expected |= sidecar.record.index_keys()
            if index_row.keys in expected:
                return False
        if not self.dry_run:
            self.stores.results.delete_index_row(index_row.keys)
        return True

    def prune_deleted(self, image: Image) -> bool:
        """Remove sidecar, index rows and row of an image whose blob is deleted.

        The source is asked after everything is read, so a result that is read here is never about a later upload; what
        a later upload writes has other ETags and stays. The sidecar goes first because attempts start there. The row
        goes last because it is what leads the next run here after a crash.
        """
        results = self.stores.results
        sidecar, row = results.read_sidecar(image), results.read_row(image)
        if self.stores.source.info(image) is not None:
            return False
        if self.dry_run:
            return True
        notifications = self.stores.actions.notifications
        if notifications and row and row.record and row.record.notify_due:
            notifications.send(row.record)
        try:
            if sidecar is not None:
                results.delete_sidecar(image, sidecar.etag)
            for record in {stored.record for stored in (sidecar, row) if stored and stored.record}:
                for address in {*record.index_keys(), *record.superseded}:
                    results.delete_index_row(address)
            if row is not None:
                results.delete_row(image, row.etag)
        except ConflictError:
            return False
        return True

    def prune_orphan(self, name: str, container: str) -> bool:
        """Remove a sidecar without a row, of a deleted blob of this container."""
        stored = self.stores.results.sidecar_at(name)
        record = stored.record if stored else None
        if (
            record is None
            or record.container != container
            or record.sidecar != f"{self.stores.results.container}/{name}"
        ):
            return False
        return self.stores.results.read_row(record.image) is None and self.prune_deleted(record.image)

    def _finish(self, written: Record, row: Stored, replaced: Record) -> bool:
        """Finish the attempt or the decision that a sidecar shows, and return whether there is one.

        Undoing it could undo one that is still running; finishing it repeats its own steps.
        """
        if _is_later_outcome(written, replaced):
            self._commit(written, row, redo_before=written.classified_at)
            return True
        if not same_attempt(written, replaced) or written.decision_version == replaced.decision_version:
            return False
        notifier = self.stores.actions.notifications
        amend(self.stores.results, written.image, written.etag, lambda record: record, notifier=notifier)
        return True

    def _commit(self, record: Record, row: Stored | None, redo_before: datetime | None = None) -> Record | None:
        notifier = self.stores.actions.notifications
        return commit(self.stores.results, self.stores.source, record, row, redo_before=redo_before, notifier=notifier)

    def _index_keys_of_row(self, image: Image) -> set[RowKeys]:
        row = self.stores.results.read_row(image)
        return row.record.index_keys() if row and row.record else set()

    def _kept_index_rows(self, image: Image) -> dict[RowKeys, IndexRow]:
        """The index rows of the row that no attempt is about to remove, with the columns that the sidecar has.

        An attempt writes its sidecar, removes the index rows of the row that it replaces, and writes its row. So the
        sidecar is read after the index rows were written, and before the row.
        """
        sidecar = self.stores.results.read_sidecar(image)
        row = self.stores.results.read_row(image)
        if row is None or row.record is None:
            return {}
        latest = sidecar.record if sidecar and sidecar.record else row.record
        kept = row.record.index_keys()
        return {index_row.keys: index_row for index_row in index_rows(latest) if index_row.keys in kept}

    def _is_written(self, expected: IndexRow) -> bool:
        written = self.stores.results.read_index_row(expected.keys)
        return written is not None and written.canonical_text() == expected.canonical_text()


def same_outcome(one: Record, other: Record) -> bool:
    """Whether two records agree. What each keeps of races may differ, and a row may hold fewer predictions."""
    one, other = (replace(record, superseded=(), shared=False, notify_due=False) for record in (one, other))
    return to_entity(one) == to_entity(other)


def _with_scores(row: Record, sidecar: Record | None) -> Record:
    """The row's record with a sidecar's scores of all labels, if they are of the same content and model."""
    if sidecar is None or not same_etag(sidecar.etag, row.etag) or sidecar.model_version != row.model_version:
        return row
    return replace(row, scores=sidecar.scores if row.status is Status.CLASSIFIED else None)


def _is_later_outcome(sidecar: Record, row: Record) -> bool:
    """Whether a sidecar holds a later outcome of the same content. A ``failed`` one never follows another outcome."""
    return (
        sidecar.image == row.image
        and same_etag(sidecar.etag, row.etag)
        and sidecar.classified_at > row.classified_at
        and (sidecar.status is not Status.FAILED or row.status is Status.FAILED)
    )
