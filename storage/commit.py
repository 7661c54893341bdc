"""The commit protocol: however attempts race, repeat or die, an image ends in one row, one sidecar, their index rows.

    1  sidecar       guarded by the ETag of what it replaces: the attempts of one image line up here
    2  index rows    upserts; their keys follow from the sidecar, so that any later attempt can name and remove them
    3  row           guarded likewise: the commit mark

Whoever meets another content (ETag) at step 1 or 3 asks the source which is current, by a conditional HEAD: the loser
stops quietly, removing the index rows it wrote. Whoever meets its own content adopts what stands there, so a second
delivery never changes a verdict. A fresh image costs a sidecar write, two upserts and an insert, nothing else.

An attempt that lost at step 1 may be asleep before its step 2. The winner therefore writes down which index rows that
one may yet write (``superseded``), so that whoever comes next can remove them. Drawn out in ``docs/adr/0003``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from storage.errors import ConflictError
from storage.records import Status, same_etag

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from storage.keys import RowKeys
    from storage.records import Image, IndexRow, Record
    from storage.results import Stored


class Ledger(Protocol):
    """What the protocol needs of storage: each method is one guarded, idempotent I/O step (``Results`` has them)."""

    def read_row(self, image: Image) -> Stored | None: ...  # noqa: D102 - documented by Results
    def write_row(self, record: Record, replaced: Stored | None) -> None: ...  # noqa: D102
    def read_sidecar(self, image: Image) -> Stored | None: ...  # noqa: D102
    def write_sidecar(self, record: Record, replaced: Stored | None) -> None: ...  # noqa: D102
    def write_index_row(self, row: IndexRow) -> None: ...  # noqa: D102
    def delete_index_row(self, address: RowKeys) -> None: ...  # noqa: D102


class Source(Protocol):
    """What the protocol asks the source container."""

    def is_current(self, image: Image, etag: str) -> bool: ...  # noqa: D102 - documented by SourceBlobs


def is_done(record: Record, etag: str, model_version: str, redo_before: datetime | None = None) -> bool:
    """Whether a record already is the truth for this content and model.

    Args:
        record: What stands in storage.
        etag: The content in question.
        model_version: The model that would judge it.
        redo_before: Outcomes older than this do not count (a person asked for another try); aware UTC.
    """
    return (
        same_etag(record.etag, etag)
        and record.model_version == model_version
        and record.status is not Status.FAILED
        and (redo_before is None or record.classified_at >= redo_before)
    )


def _stands(other: Record, record: Record, redo_before: datetime | None) -> bool:
    """Whether what another attempt wrote is kept, and ``record`` yields to it.

    Among attempts at one content by different models the later judgement wins, so that a slow old worker cannot
    overwrite a new one; giving up (``failed``) never overwrites a verdict.
    """
    if is_done(other, record.etag, record.model_version, redo_before):
        return True
    if other.status is Status.FAILED or not same_etag(other.etag, record.etag):
        return False
    return record.status is Status.FAILED or (
        other.model_version != record.model_version and other.classified_at > record.classified_at
    )


def commit(
    ledger: Ledger, source: Source, record: Record, row: Stored | None, *, redo_before: datetime | None = None
) -> Record | None:
    """Make a record the truth about its image.

    Args:
        ledger: Where results are kept.
        source: Where the image is.
        record: The outcome to commit.
        row: The row as it was read before the image was; ``None`` when there was none.
        redo_before: Outcomes older than this are replaced even for the same content.

    Returns:
        The record that stands: this one, or an equal attempt's that was there first. ``None`` when the source has moved
        on (or is gone) and the newer event wins.

    Raises:
        TransientError: Storage failed; the next attempt takes up where this one stopped.
        ConfigurationError: Storage refused.
    """
    image = record.image
    written = _write_sidecar(ledger, source, record, row, redo_before)
    if written is None:
        return None
    record = written

    index_rows = record.index_rows()
    for index_row in index_rows:
        ledger.write_index_row(index_row)
    mine = {index_row.keys for index_row in index_rows}
    _remove(ledger, record.superseded)

    while True:
        standing = row.record if row else None
        if standing is not None:
            if _stands(standing, record, redo_before):
                _remove(ledger, mine - _index_keys(standing))
                return standing
            if not source.is_current(image, record.etag):
                _remove(ledger, mine - _index_keys(standing))
                return None
            _remove(ledger, _index_keys(standing) - mine)
        try:
            ledger.write_row(record, row)
        except ConflictError:
            row = ledger.read_row(image)
        else:
            return record


def clean_up_after_races(ledger: Ledger, record: Record) -> None:
    """Remove what abandoned attempts may have written beside a committed record; costs nothing where none raced."""
    _remove(ledger, record.superseded)


def _write_sidecar(
    ledger: Ledger, source: Source, record: Record, row: Stored | None, redo_before: datetime | None
) -> Record | None:
    """Step 1. Returns the record to carry on with, or ``None`` when this attempt has lost."""
    image = record.image
    beside = ledger.read_sidecar(image) if row else None
    while True:
        if beside is not None:
            other = beside.record
            if other is not None and _stands(other, record, redo_before):
                return other
            if not source.is_current(image, record.etag):
                return None
            if other is not None and (row is None or row.record is None or not _same_attempt(other, row.record)):
                record = record.superseding(other)
        try:
            ledger.write_sidecar(record, beside)
        except ConflictError:
            beside = ledger.read_sidecar(image)
        else:
            return record


def _same_attempt(one: Record, other: Record) -> bool:
    return one.etag == other.etag and one.classified_at == other.classified_at


def _index_keys(record: Record) -> set[RowKeys]:
    return {row.keys for row in record.index_rows()}


def _remove(ledger: Ledger, addresses: Iterable[RowKeys]) -> None:
    for address in addresses:
        ledger.delete_index_row(address)
