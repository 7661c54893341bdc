"""Changes an outcome that stands: facts are added to it, or its label is decided again. Its ``classified_at`` stays.

The order is that of ``commit``: sidecar, index rows, row, each conditional on what it replaces. A new label changes a
key of the index, so the index row of the earlier label is removed before the row is written, as in ``commit``. An
attempt that dies leaves the earlier row, so the next run changes it again. What it wrote by then can be named: the
sidecar has its label, and an attempt that replaces that sidecar keeps the keys (``Record.superseded``).

An upload of new content, or a classification by another model, is another attempt at the image: it wins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from storage.errors import ConflictError
from storage.etags import same_etag
from storage.results.commit import same_attempt
from storage.results.index_rows import index_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.results.commit import Notifier, ResultStore
    from storage.results.record import Image, Record
    from storage.results.store import Stored

_ATTEMPTS = 5


class Found(NamedTuple):
    """A result as it was read: first the row, then the sidecar."""

    row: Stored | None
    sidecar: Stored | None


def amend(  # noqa: PLR0913 - the result, the change, and the ports
    results: ResultStore,
    image: Image,
    etag: str,
    change: Callable[[Record], Record | None],
    found: Found | None = None,
    *,
    notifier: Notifier | None = None,
) -> Record | None:
    """Change columns of the outcome of one content.

    Args:
        results: Where rows, index rows and sidecars are.
        image: The image.
        etag: Of the content that the change is about.
        change: Returns the changed record, of the same attempt; ``None`` to leave it.
        found: The result where it was read already, however long ago: writes are conditional on it.
        notifier: Decides whether a changed label marks the row for a message; sends the one that the row still owes.

    Returns:
        The record that was written; ``None`` where the outcome is of another content, another attempt is at work, or
        ``change`` leaves it.

    Raises:
        TransientError: Storage failed; the next run continues.
        ConfigurationError: Storage refused the request.
    """
    for _ in range(_ATTEMPTS):
        # Row first: if another attempt writes its sidecar and row in between, the write of this row is refused.
        row, sidecar = found or Found(results.read_row(image), results.read_sidecar(image))
        found = None
        if row is None or row.record is None or not same_etag(row.record.etag, etag):
            return None
        written = sidecar.record if sidecar else None
        if written is not None and not same_attempt(written, row.record):
            return None  # it is about to write its row
        changed = change(written or row.record)
        if changed is None:
            return None
        amended = _naming_leftovers(changed, written, row.record)
        try:
            if amended != written:
                results.write_sidecar(amended, sidecar)
            _write_index_and_row(results, _marked(amended, row.record, notifier), row, row.record)
        except ConflictError:
            continue
        return amended
    return None


def _write_index_and_row(results: ResultStore, amended: Record, row: Stored, replaced: Record) -> None:
    """Write what follows the sidecar; without an index row that no row has, where another attempt wrote the row."""
    for index_row in index_rows(amended):
        results.write_index_row(index_row)
    for address in {*replaced.index_keys(), *amended.superseded} - amended.index_keys():
        results.delete_index_row(address)
    try:
        results.write_row(amended, row)
    except ConflictError:
        current = results.read_row(amended.image)
        kept = current.record.index_keys() if current and current.record else set()
        for address in amended.index_keys() - kept:
            results.delete_index_row(address)
        raise


def _marked(amended: Record, replaced: Record, notifier: Notifier | None) -> Record:
    """The record as the row keeps it: a new label is a new result, any other change leaves the mark as it is."""
    if notifier is None or amended.label == replaced.label:
        return replace(amended, notify_due=replaced.notify_due)
    if replaced.notify_due:
        notifier.send(replaced)
    return replace(amended, notify_due=notifier.matches(amended))


def _naming_leftovers(changed: Record, written: Record | None, row: Record) -> Record:
    """The changed record with the keys of all index rows that earlier attempts may have left or may still write."""
    changed = replace(changed, shared=changed.shared or row.shared).superseding(row, finished=not row.shared)
    if written is None:
        return changed
    return changed.superseding(written, finished=not written.shared and written.index_keys() <= row.index_keys())
