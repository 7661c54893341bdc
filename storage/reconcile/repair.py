"""Mending the results of one image: its sidecar, its index rows, and what is left of a blob that is gone.

A suspicion is never acted on: everything is read again first, and what is written or removed is guarded by what was
read, or looked at again after. Attempts that run meanwhile follow the commit protocol and lose nothing to these steps.
Each method says whether there was something to do; with ``dry_run`` it says so and leaves it undone. Thread-safe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from azure.data.tables import EntityProperty

from storage.errors import ConflictError
from storage.keys import RowKeys
from storage.results.commit import commit
from storage.results.record import Image, IndexRow, Record, Status, same_etag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.pipeline.classify_blob import Stores


@dataclass(frozen=True, slots=True)
class Mender:
    """Mends one image at a time."""

    stores: Stores
    dry_run: bool = False

    def sidecar(self, image: Image) -> bool:
        """Make the sidecar say what the row says, or finish the attempt that wrote it and died before the row.

        Left alone: images whose blob has moved on (another attempt is due) or is gone.
        """
        # Read in this order, a sidecar that is newer than the row is an attempt's whose row is still to come.
        beside = self.stores.results.read_sidecar(image)
        row = self.stores.results.read_row(image)
        other = beside.record if beside else None
        if row is None or row.record is None or (other is not None and _tell_the_same(other, row.record)):
            return False
        if not self.stores.source.is_current(image, row.record.etag):
            return False
        if self.dry_run:
            return True
        if other is not None and _goes_beyond(other, row.record):
            # Undoing it could undo an attempt that is alive; doing the same as that attempt cannot.
            commit(self.stores.results, self.stores.source, other, row, redo_before=other.classified_at)
            return True
        try:
            self.stores.results.write_sidecar(row.record, beside)
        except ConflictError:
            return False
        return True

    def index(self, image: Image) -> bool:
        """Write the index rows that the row wants and that are missing or say something else."""
        row = self.stores.results.read_row(image)
        wanted_rows = row.record.index_rows() if row and row.record else ()
        lacking = [wanted for wanted in wanted_rows if not self._stands(wanted)]
        if not lacking or self.dry_run:
            return bool(lacking)
        for wanted in lacking:
            self.stores.results.write_index_row(wanted)
        # An attempt that replaced the row meanwhile has removed its index rows, and must not find them back.
        expected = self._backed_by_row(image)
        for wanted in lacking:
            if wanted.keys not in expected:
                self.stores.results.delete_index_row(wanted.keys)
        return True

    def lie(self, claim: IndexRow) -> bool:
        """Remove an index row that neither its image's row nor an attempt on its way to one stands behind."""
        container, blob_name = claim.columns.get("container"), claim.columns.get("blob_name")
        image = Image(container, blob_name) if isinstance(container, str) and isinstance(blob_name, str) else None
        if image is not None and container and blob_name:
            beside = self.stores.results.read_sidecar(image)  # before the row: an attempt writes them in this order
            backed = self._backed_by_row(image)
            if beside is not None and beside.record is not None:
                backed |= _index_keys(beside.record)
            if claim.keys in backed:
                return False
        if not self.dry_run:
            self.stores.results.delete_index_row(claim.keys)
        return True

    def gone(self, image: Image) -> bool:
        """Remove sidecar, index rows and row of an image whose blob is gone.

        The sidecar goes first, for attempts line up there: who uploads the blob again meanwhile is left in peace. The
        row goes last, for it is what brings us back after a crash.
        """
        results = self.stores.results
        if self.stores.source.info(image) is not None:
            return False
        if self.dry_run:
            return True
        beside, row = results.read_sidecar(image), results.read_row(image)
        try:
            if beside is not None:
                results.delete_sidecar(image, beside.token)
            for record in {stored.record for stored in (beside, row) if stored and stored.record}:
                for address in {*_index_keys(record), *record.superseded}:
                    results.delete_index_row(address)
            if row is not None:
                results.delete_row(image, row.token)
        except ConflictError:
            return False
        return True

    def orphan(self, name: str, container: str) -> bool:
        """Remove a sidecar that has no row, of a blob of this container that is gone."""
        stored = self.stores.results.sidecar_at(name)
        record = stored.record if stored else None
        if (
            record is None
            or record.container != container
            or record.sidecar != f"{self.stores.results.container}/{name}"
        ):
            return False
        return self.stores.results.read_row(record.image) is None and self.gone(record.image)

    def _backed_by_row(self, image: Image) -> set[RowKeys]:
        row = self.stores.results.read_row(image)
        return _index_keys(row.record) if row and row.record else set()

    def _stands(self, wanted: IndexRow) -> bool:
        partition_key, row_key = wanted.keys
        for page in self.stores.results.index_ranges().within(partition_key, row_key, row_key):
            for entity in page:
                return statement(index_row(entity)) == statement(wanted)
        return False


def index_row(entity: Mapping[str, Any]) -> IndexRow:
    """An index row as it stands in its table, whoever wrote it."""
    columns = {name: value for name, value in entity.items() if name not in {"PartitionKey", "RowKey"}}
    return IndexRow(RowKeys(entity["PartitionKey"], entity["RowKey"]), columns)


def statement(row: IndexRow) -> str:
    """All that an index row says, address and columns; equal texts, equal rows."""
    columns = sorted((name, _plain(value)) for name, value in row.columns.items())
    return f"{row.keys.partition_key}\n{row.keys.row_key}\n{columns}"


def _plain(value: Any) -> str:
    """A value's text, without the SDK's own classes of integers and datetimes."""
    value = value.value if isinstance(value, EntityProperty) else value
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


def _index_keys(record: Record) -> set[RowKeys]:
    return {row.keys for row in record.index_rows()}


def _tell_the_same(one: Record, other: Record) -> bool:
    """Whether two records agree; what each remembers of races may differ, and a row may hold fewer predictions."""
    one, other = (replace(record, superseded=(), shared=False) for record in (one, other))
    return one.to_entity() == other.to_entity()


def _goes_beyond(sidecar: Record, row: Record) -> bool:
    """Whether a sidecar tells of a later judgement of the same content. Giving up is none, beside a verdict."""
    return (
        sidecar.image == row.image
        and same_etag(sidecar.etag, row.etag)
        and sidecar.classified_at > row.classified_at
        and (sidecar.status is not Status.FAILED or row.status is Status.FAILED)
    )
