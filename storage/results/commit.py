"""The commit protocol: however attempts race, repeat or die, an image ends with one row, sidecar and set of index rows.

    1  sidecar       conditional on the ETag of the one it replaces; the sidecar decides what the row will hold
    2  index rows    upserts; their keys follow from the sidecar, so any later attempt can name and remove them
    3  row           conditional in the same way: the commit mark, written after the sidecar

If the sidecar holds a different ETag, a conditional HEAD decides which is current; the outdated attempt stops. If the
sidecar holds the same content, the attempt adopts it, so a second delivery never changes an outcome. Another model's
result on that content is replaced only by the model that is current at that moment (``docs/adr/0022``). The row's
ETag is read before the sidecar is written. An attempt whose row write fails reads the sidecar again: if the sidecar is
still its own it retries, else it removes its index rows and stops. So rows follow sidecars and both agree in the end. A
fresh image costs a sidecar write, two upserts and an insert.

An attempt whose sidecar was replaced may be paused before its step 2. The attempt that replaced it therefore stores the
keys of the index rows that the paused one may still write (``superseded``); the next attempt removes them. Drawn out in
``docs/adr/0003``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from inference.errors import TransientError, printable
from storage.errors import ConflictError, ProtectedSidecarError
from storage.etags import same_etag
from storage.results.index_rows import index_rows
from storage.results.record import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from storage.keys import RowKeys
    from storage.results.record import Image, IndexRow, Record
    from storage.results.store import Stored


IsCurrentModel: TypeAlias = "Callable[[str], bool | None]"


class ResultStore(Protocol):
    """What the protocol needs of storage: each method is one conditional, idempotent I/O step (see ``Results``)."""

    def read_row(self, image: Image) -> Stored | None: ...  # noqa: D102 - documented by Results
    def write_row(self, record: Record, replaced: Stored | None) -> None: ...  # noqa: D102
    def read_sidecar(self, image: Image) -> Stored | None: ...  # noqa: D102
    def write_sidecar(self, record: Record, replaced: Stored | None) -> None: ...  # noqa: D102
    def write_index_row(self, row: IndexRow) -> None: ...  # noqa: D102
    def delete_index_row(self, address: RowKeys) -> None: ...  # noqa: D102


class Source(Protocol):
    """What the protocol asks of the source container."""

    def is_current(self, image: Image, etag: str) -> bool: ...  # noqa: D102 - documented by SourceBlobs


class Notifier(Protocol):
    """What the protocol asks of messages about results (see ``storage.actions.notifications``)."""

    def matches(self, record: Record) -> bool: ...  # noqa: D102 - documented by Notifications
    def send(self, record: Record) -> None: ...  # noqa: D102


def is_done(record: Record, etag: str, model_version: str, redo_before: datetime | None = None) -> bool:
    """Whether a stored record is the outcome for this content and model, so that there is nothing to do.

    Args:
        record: The stored record.
        etag: The content in question.
        model_version: The model that would classify it.
        redo_before: Outcomes older than this do not count (a person asked for another attempt); aware UTC.
    """
    return (
        same_etag(record.etag, etag)
        and record.model_version == model_version
        and record.status is not Status.FAILED
        and (redo_before is None or record.classified_at >= redo_before)
    )


def _unknown(_model_version: str) -> bool | None:
    return None


def commit(  # noqa: PLR0913 - the two ports, the record, and what decides between two records
    results: ResultStore,
    source: Source,
    record: Record,
    row: Stored | None,
    *,
    redo_before: datetime | None = None,
    is_current_model: IsCurrentModel = _unknown,
    notifier: Notifier | None = None,
) -> Record | None:
    """Make a record the outcome for its image.

    Args:
        results: Where rows, index rows and sidecars are.
        source: Where the image is.
        record: The outcome to commit.
        row: The row as it was read before the image was read; ``None`` when there was none.
        redo_before: Outcomes older than this are replaced even for the same content; aware UTC.
        is_current_model: Whether a model version is the one to classify with now; ``None`` where it is not known.
        notifier: Decides whether the row is marked for a message, and sends the one that a replaced row still owes.

    Returns:
        The committed record: this one, or the equivalent one of an attempt that was first, or that of another model if
        this record's model is not current. ``None`` when the source has a newer content or is deleted; the newer event
        then decides.

    Raises:
        TransientError: Storage failed; the next attempt continues where this one stopped.
        ConfigurationError: Storage refused the request.
    """
    image = record.image
    sidecar = results.read_sidecar(image) if row else None
    while True:
        existing = sidecar.record if sidecar else None
        to_write: Record | None
        if existing is not None and same_attempt(existing, record):
            to_write = existing  # our own write, whose response was lost
        elif sidecar is None and row and row.record and _other_model_wins(row.record, record, is_current_model):
            return row.record  # its sidecar was deleted
        elif existing is not None and _is_final(existing, record, redo_before, is_current_model):
            if _is_committed(existing, results.read_row(image)):
                remove_superseded(results, existing)
                return existing
            to_write = replace(existing, shared=True)
        else:
            to_write = _replacement(results, source, record, row, sidecar)
            if to_write is None:
                return None
        try:
            if to_write != existing:
                _write_sidecar(results, to_write, sidecar)
        except ConflictError:
            sidecar = results.read_sidecar(image)
        else:
            return _write_index_and_row(results, to_write, row, notifier)


def finish_interrupted(results: ResultStore, image: Image, row: Stored | None) -> None:
    """Finish the attempt that a sidecar without its row shows, for a deleted image: prune needs the whole result.

    Args:
        results: Where rows, index rows and sidecars are.
        image: An image that the source does not have.
        row: Its row, as read before the source was asked.

    Raises:
        TransientError: Storage failed; the next attempt continues where this one stopped.
        ConfigurationError: Storage refused the request.
    """
    if row and row.record:
        remove_superseded(results, row.record)
    while True:
        sidecar = results.read_sidecar(image)
        if sidecar is None or sidecar.record is None or _is_committed(sidecar.record, row):
            return
        to_write = replace(sidecar.record, shared=True)
        try:
            if to_write != sidecar.record:
                results.write_sidecar(to_write, sidecar)
        except ConflictError:
            continue
        _write_index_and_row(results, to_write, row)
        return


def remove_superseded(results: ResultStore, record: Record) -> None:
    """Remove the index rows that replaced attempts may have written; no request where there was no race."""
    _remove(results, record.superseded)


def _is_final(existing: Record, record: Record, redo_before: datetime | None, is_current_model: IsCurrentModel) -> bool:
    """Whether the existing record of another attempt is kept, and ``record`` is dropped.

    Between two models at one content the current one wins, whenever it classified: a worker with the old model may be
    late or have the faster clock, and an old model may be published again. Where it is not known which is current, the
    later classification is kept. A ``failed`` record never replaces another outcome. Two attempts never each replace
    the other, because one model is current at a time.
    """
    if is_done(existing, record.etag, record.model_version, redo_before):
        return True
    if not same_etag(existing.etag, record.etag):
        return False
    if (existing.status is Status.FAILED) != (record.status is Status.FAILED):
        return record.status is Status.FAILED
    other_wins = _other_model_wins(existing, record, is_current_model)
    if other_wins is not None:
        return other_wins
    return (existing.classified_at, existing.model_version) >= (record.classified_at, record.model_version)


def _other_model_wins(existing: Record, record: Record, is_current_model: IsCurrentModel) -> bool | None:
    """Whether another model's result on the same content is kept; ``None`` where the models do not decide."""
    if existing.model_version == record.model_version or not same_etag(existing.etag, record.etag):
        return None
    if Status.FAILED in (existing.status, record.status):  # no model gave that
        return None
    is_current = is_current_model(record.model_version)
    return None if is_current is None else not is_current


def _replacement(
    results: ResultStore, source: Source, record: Record, row: Stored | None, sidecar: Stored | None
) -> Record | None:
    """The record to write in place of a sidecar that is not final; ``None`` when the source has a newer content."""
    if sidecar is None:
        return record
    existing = sidecar.record
    if not source.is_current(record.image, record.etag):
        if existing is not None:
            remove_superseded(results, existing)
        return None
    if existing is None:  # a person edited it, so it names no index rows
        return record
    return record.superseding(existing, finished=_is_finished(existing, row))


def _is_finished(existing: Record, row: Stored | None) -> bool:
    """Whether the only attempt at a record has ended, so that its index rows are those of its row.

    A change of a label (``amend``) may have written its sidecar and not its row.
    """
    if existing.shared or row is None or row.record is None or not _is_committed(existing, row):
        return False
    return existing.index_keys() <= row.record.index_keys()


def _write_sidecar(results: ResultStore, record: Record, replaced: Stored | None) -> None:
    """Step 1. A ``failed`` record may do without where storage protects the sidecar: its row says why."""
    try:
        results.write_sidecar(record, replaced)
    except ProtectedSidecarError:
        if record.status is not Status.FAILED:
            raise


def _write_index_and_row(
    results: ResultStore, record: Record, row: Stored | None, notifier: Notifier | None = None
) -> Record | None:
    """Steps 2 and 3 for the record in the sidecar. ``row`` was read before the sidecar was seen to hold the record."""
    image = record.image
    for index_row in index_rows(record):
        results.write_index_row(index_row)
    _remove(results, record.superseded)
    index_keys = record.index_keys()
    marked = replace(record, notify_due=notifier is not None and notifier.matches(record))
    while True:
        if row and row.record:
            _remove(results, row.record.index_keys() - index_keys)
            if notifier and row.record.notify_due and not same_attempt(row.record, record):
                notifier.send(row.record)
        try:
            results.write_row(marked, row)
        except ConflictError:
            row = results.read_row(image)
        else:
            return record
        sidecar = results.read_sidecar(image)
        current = sidecar.record if sidecar else None
        if current is None:
            raise TransientError(f"The sidecar of {printable(str(image))} was deleted while its row was written.")
        if not same_attempt(current, record):
            _remove(results, index_keys - current.index_keys())
            return current if same_etag(current.etag, record.etag) else None
        if _is_committed(record, row):
            return record


def same_attempt(one: Record, other: Record) -> bool:
    """Whether two records are of one attempt at an image, also where one of them was changed afterwards (``amend``)."""
    return (one.etag, one.model_version, one.status, one.classified_at) == (
        other.etag,
        other.model_version,
        other.status,
        other.classified_at,
    )


def _is_committed(record: Record, row: Stored | None) -> bool:
    return row is not None and row.record is not None and same_attempt(row.record, record)


def _remove(results: ResultStore, addresses: Iterable[RowKeys]) -> None:
    for address in addresses:
        results.delete_index_row(address)
