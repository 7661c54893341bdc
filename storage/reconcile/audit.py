"""Compares rows with sidecars and index rows, with one pass over each, and names the images that may be inconsistent.

No image is read by itself. The index rows of an image follow from its row. So does every byte of its sidecar but the
scores and the predictions of further models, and a listing of the results container shows an MD5 of these bytes
(``storage.results.sidecar_digest``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.keys import image_keys, sidecar_name
from storage.reconcile.bucket_hashes import BucketHashes, DifferingKeys
from storage.results import sidecar_digest
from storage.results.index_rows import index_rows
from storage.results.record import Image, IndexRow
from storage.results.serialization import from_any_entity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from storage.listing import Listed
    from storage.results.record import Record
    from storage.results.store import Results

MAX_UNREADABLE = 1000
"""In memory at once; a further run finds the others."""


@dataclass(frozen=True, slots=True)
class Mismatches:
    """A superset of the inconsistent results. Callers read each candidate again before they change anything.

    Attributes:
        rows: How many rows the container's images have.
        unreadable: Images whose row cannot be read, as after a person edited it; the first ``MAX_UNREADABLE`` of them.
        deleted: Images whose row may have no blob.
        sidecars: Sidecars that may be missing, may disagree with their row, or may have no row.
        index: Images whose index rows may be missing or wrong.
    """

    rows: int
    unreadable: tuple[Image, ...]
    deleted: DifferingKeys
    sidecars: DifferingKeys
    index: DifferingKeys

    def has_deleted_blob(self, record: Record) -> bool:
        """Whether the blob of a row may be deleted."""
        return str(record.image) in self.deleted

    def has_sidecar(self, record: Record) -> bool:
        """Whether the sidecar of a row may be wrong."""
        return sidecar_name(record.blob_name) in self.sidecars

    def has_index_rows(self, record: Record) -> bool:
        """Whether the index rows of a row may be wrong."""
        return str(record.image) in self.index

    def has_record(self, record: Record) -> bool:
        """Whether anything about a row may be wrong."""
        return self.has_sidecar(record) or self.has_index_rows(record) or self.has_deleted_blob(record)

    def has_index_row(self, row: IndexRow) -> bool:
        """Whether an index row may be wrong."""
        return _image_of(row) in self.index


def audit(results: Results, container: str, with_blob: BucketHashes) -> Mismatches:
    """Compare the rows of all containers with sidecars and index rows, and the rows of one with its blobs.

    Args:
        results: Rows, index rows and sidecars.
        container: The incoming container.
        with_blob: Its images that have both a blob and a row.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused the request.
    """
    rows = 0
    unreadable: list[Image] = []
    with_row, sidecars, index = BucketHashes(), BucketHashes(), BucketHashes()
    for entity in _all_rows(results):
        record = from_any_entity(entity)
        if record is None:
            image = _image_of_row(entity)
            if image is not None and image.container == container and len(unreadable) < MAX_UNREADABLE:
                unreadable.append(image)
            continue
        if record.container == container:
            rows += 1
            with_row.add(str(record.image))
        if record.sidecar == results.sidecar_path(record.image):  # else it was written to another results container
            sidecars.add(sidecar_name(record.blob_name), sidecar_digest.expected(record))
        for expected in index_rows(record):
            index.add(_image_of(expected), expected.canonical_text())

    found_sidecars, found_index = BucketHashes(), BucketHashes()
    for blob in all_sidecars(results):
        found_sidecars.add(blob.name, sidecar_digest.found(blob))
    for row in all_index_rows(results):
        found_index.add(_image_of(row), row.canonical_text())
    return Mismatches(
        rows, tuple(unreadable), with_row.diff(with_blob), sidecars.diff(found_sidecars), index.diff(found_index)
    )


def all_records(results: Results) -> Iterator[Record]:
    """Yield every row of the results table that this app wrote."""
    yield from filter(None, map(from_any_entity, _all_rows(results)))


def _all_rows(results: Results) -> Iterator[Mapping[str, Any]]:
    for page in results.row_reader().pages():
        yield from page


def _image_of_row(entity: Mapping[str, Any]) -> Image | None:
    """The image of a row that cannot be read, if its keys are those of the names in its columns."""
    container, blob_name = entity.get("container"), entity.get("blob_name")
    if not isinstance(container, str) or not isinstance(blob_name, str):
        return None
    is_named = image_keys(container, blob_name) == (entity["PartitionKey"], entity["RowKey"])
    return Image(container, blob_name) if is_named else None


def all_index_rows(results: Results) -> Iterator[IndexRow]:
    """Yield every row of the index table, also those that this app did not write."""
    for page in results.index_reader().pages():
        yield from map(IndexRow.from_entity, page)


def all_sidecars(results: Results) -> Iterator[Listed]:
    """Yield every blob of the results container whose name ends in ``.json``, as the name of a sidecar does."""
    for page in results.sidecar_pages():
        yield from (blob for blob in page if blob.name.endswith(".json"))


def _image_of(row: IndexRow) -> str:
    """The image that an index row names."""
    return f"{row.columns.get('container')}/{row.columns.get('blob_name')}"
