"""The commit protocol: however attempts race, repeat or die, an image ends in one row, one sidecar, their index rows.

    1  sidecar       guarded by the ETag of what it replaces: who holds it decides what the row will say
    2  index rows    upserts; their keys follow from the sidecar, so that any later attempt can name and remove them
    3  row           guarded likewise: the commit mark, carried out after the sidecar

Whoever meets another content (ETag) in the sidecar asks the source which is current, by a conditional HEAD: the loser
stops quietly. Whoever meets its own content adopts what stands there, so a second delivery never changes a verdict. The
row's guard is read before the sidecar is held; whoever finds the row changed looks at the sidecar again, and goes on
only while still holding it, or removes its index rows. So rows follow sidecars, and both end alike. A fresh image costs
a sidecar write, two upserts and an insert, nothing else.

An attempt that lost the sidecar may be asleep before its step 2. The winner therefore writes down which index rows that
one may yet write (``superseded``), so that whoever comes next can remove them. Drawn out in ``docs/adr/0003``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from inference.errors import TransientError
from storage.errors import ConflictError, one_line
from storage.results.record import Status, same_etag

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from storage.keys import RowKeys
    from storage.results.record import Image, IndexRow, Record
    from storage.results.store import Stored


class ResultStore(Protocol):
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
    overwrite a new one; giving up (``failed``) never overwrites a verdict. Of two attempts never each beats the other.
    """
    if is_done(other, record.etag, record.model_version, redo_before):
        return True
    if not same_etag(other.etag, record.etag):
        return False
    if (other.status is Status.FAILED) != (record.status is Status.FAILED):
        return record.status is Status.FAILED
    return (other.classified_at, other.model_version) >= (record.classified_at, record.model_version)


def commit(
    ledger: ResultStore, source: Source, record: Record, row: Stored | None, *, redo_before: datetime | None = None
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
    beside = ledger.read_sidecar(image) if row else None
    while True:
        other = beside.record if beside else None
        if other is not None and _same_attempt(other, record):
            held = other  # our own write, whose answer was lost
        elif other is not None and _stands(other, record, redo_before):
            if _is_committed(other, ledger.read_row(image)):
                clean_up_after_races(ledger, other)
                return other
            held = replace(other, shared=True)
        else:
            won = _superseding(ledger, source, record, row, beside)
            if won is None:
                return None
            held = won
        try:
            if held != other:
                ledger.write_sidecar(held, beside)
        except ConflictError:
            beside = ledger.read_sidecar(image)
        else:
            return _carry_out(ledger, held, row)


def finish(ledger: ResultStore, image: Image, row: Stored | None) -> None:
    """Carry out what an attempt left half-written at an image that is gone by now, so that it can be pruned whole.

    Args:
        ledger: Where results are kept.
        image: An image that the source does not have.
        row: Its row, as read before the source was asked.
    """
    if row and row.record:
        clean_up_after_races(ledger, row.record)
    while True:
        beside = ledger.read_sidecar(image)
        if beside is None or beside.record is None or _is_committed(beside.record, row):
            return
        held = replace(beside.record, shared=True)
        try:
            if held != beside.record:
                ledger.write_sidecar(held, beside)
        except ConflictError:
            continue
        _carry_out(ledger, held, row)
        return


def clean_up_after_races(ledger: ResultStore, record: Record) -> None:
    """Remove what abandoned attempts may have written beside a committed record; costs nothing where none raced."""
    _remove(ledger, record.superseded)


def _superseding(
    ledger: ResultStore, source: Source, record: Record, row: Stored | None, beside: Stored | None
) -> Record | None:
    """What to write in place of a sidecar that does not stand; ``None`` when the source has moved on."""
    if beside is None:
        return record
    other = beside.record
    if not source.is_current(record.image, record.etag):
        if other is not None:
            clean_up_after_races(ledger, other)
        return None
    if other is None:  # a person edited it: it tells nothing
        return record
    return record.superseding(other, settled=_is_committed(other, row) and not other.shared)


def _carry_out(ledger: ResultStore, record: Record, row: Stored | None) -> Record | None:
    """Steps 2 and 3 for the record in the sidecar; ``row`` was read before the sidecar was seen to hold it."""
    image = record.image
    for index_row in record.index_rows():
        ledger.write_index_row(index_row)
    _remove(ledger, record.superseded)
    mine = _index_keys(record)
    while True:
        if row and row.record:
            _remove(ledger, _index_keys(row.record) - mine)
        try:
            ledger.write_row(record, row)
        except ConflictError:
            row = ledger.read_row(image)
        else:
            return record
        beside = ledger.read_sidecar(image)
        holder = beside.record if beside else None
        if holder is None:
            raise TransientError(f"The sidecar of {one_line(str(image))} was taken away while its row was written.")
        if not _same_attempt(holder, record):
            _remove(ledger, mine - _index_keys(holder))
            return holder if same_etag(holder.etag, record.etag) else None
        if _is_committed(record, row):
            return record


def _same_attempt(one: Record, other: Record) -> bool:
    return (one.etag, one.model_version, one.status, one.classified_at) == (
        other.etag,
        other.model_version,
        other.status,
        other.classified_at,
    )


def _is_committed(record: Record, row: Stored | None) -> bool:
    return row is not None and row.record is not None and _same_attempt(row.record, record)


def _index_keys(record: Record) -> set[RowKeys]:
    return {row.keys for row in record.index_rows()}


def _remove(ledger: ResultStore, addresses: Iterable[RowKeys]) -> None:
    for address in addresses:
        ledger.delete_index_row(address)
