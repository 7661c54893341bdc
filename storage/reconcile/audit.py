"""Rows against sidecars and index: one pass over each, and who is under suspicion where they differ.

Nothing is read image by image. What the index must hold follows from the rows. So does every byte of a sidecar, and a
listing of the results container shows the MD5 that storage computed of what was uploaded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.keys import sidecar_name
from storage.query.join import readable
from storage.reconcile.fingerprints import Fingerprints, Suspicion
from storage.reconcile.repair import index_row, statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from storage.listing import Listed
    from storage.results.record import IndexRow, Record
    from storage.results.store import Results


@dataclass(frozen=True, slots=True)
class Suspects:
    """A superset of what is not as it should be.

    Attributes:
        rows: How many rows the container's images have.
        gone: Rows that no blob may stand behind.
        sidecars: Sidecars that may be missing, or say something else, or have no row.
        index: Images whose index rows may be missing, or lie.
    """

    rows: int
    gone: Suspicion
    sidecars: Suspicion
    index: Suspicion

    def has_blob_gone(self, record: Record) -> bool:
        """Whether the blob of a row may be gone."""
        return str(record.image) in self.gone

    def has_sidecar(self, record: Record) -> bool:
        """Whether the sidecar of a row may be wrong."""
        return sidecar_name(record.blob_name) in self.sidecars

    def has_index_rows(self, record: Record) -> bool:
        """Whether the index rows of a row may be wrong."""
        return str(record.image) in self.index

    def has_record(self, record: Record) -> bool:
        """Whether anything about a row may be wrong."""
        return self.has_sidecar(record) or self.has_index_rows(record) or self.has_blob_gone(record)

    def has_claim(self, claim: IndexRow) -> bool:
        """Whether an index row may lie."""
        return _claimed(claim) in self.index


def audit(results: Results, container: str, with_blob: Fingerprints) -> Suspects:
    """Hold the rows of all containers against sidecars and index, and those of one against its blobs.

    Args:
        results: Rows, index rows and sidecars.
        container: The incoming container.
        with_blob: Its images that have both blob and row.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused.
    """
    rows = 0
    with_row, sidecars, index = Fingerprints(), Fingerprints(), Fingerprints()
    for record in all_records(results):
        if record.container == container:
            rows += 1
            with_row.add(str(record.image))
        if record.sidecar == results.sidecar_path(record.image):  # else: written to another results container, once
            md5 = hashlib.md5(record.to_sidecar(), usedforsecurity=False).hexdigest()
            sidecars.add(sidecar_name(record.blob_name), md5)
        for wanted in record.index_rows():
            index.add(_claimed(wanted), statement(wanted))

    sidecars_found, index_found = Fingerprints(), Fingerprints()
    for blob in all_sidecars(results):
        sidecars_found.add(blob.name, blob.content_md5.hex() if blob.content_md5 else "")
    for claim in all_claims(results):
        index_found.add(_claimed(claim), statement(claim))
    return Suspects(rows, with_row.against(with_blob), sidecars.against(sidecars_found), index.against(index_found))


def all_records(results: Results) -> Iterator[Record]:
    """Yield every row that is one of ours."""
    for page in results.row_ranges().everything():
        yield from filter(None, map(readable, page))


def all_claims(results: Results) -> Iterator[IndexRow]:
    """Yield every row of the index table, whoever wrote it."""
    for page in results.index_ranges().everything():
        yield from map(index_row, page)


def all_sidecars(results: Results) -> Iterator[Listed]:
    """Yield every blob of the results container that is named as a sidecar is."""
    for page in results.sidecar_pages():
        yield from (blob for blob in page if blob.name.endswith(".json"))


def _claimed(claim: IndexRow) -> str:
    """The image that an index row claims to be about."""
    columns: Mapping[str, Any] = claim.columns
    return f"{columns.get('container')}/{columns.get('blob_name')}"
