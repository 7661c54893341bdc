"""Adds facts to an outcome that stands: label, score and time of classification stay.

The order is that of ``commit``: sidecar, index rows, row, each conditional on what it replaces. An attempt that dies in
between leaves a row without the facts, so the next run adds them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from storage.errors import ConflictError
from storage.etags import same_etag
from storage.results.commit import same_attempt
from storage.results.index_rows import index_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.results.commit import ResultStore
    from storage.results.record import Image, Record

_ATTEMPTS = 5


def amend(results: ResultStore, image: Image, etag: str, change: Callable[[Record], Record]) -> Record | None:
    """Change columns of the outcome of one content.

    Args:
        results: Where rows, index rows and sidecars are.
        image: The image.
        etag: Of the content that the change is about.
        change: Returns the record with the columns that are added. It changes no key of the record.

    Returns:
        The record that was written; ``None`` where the outcome is of another content, or another attempt is at work.

    Raises:
        TransientError: Storage failed; the next run continues.
        ConfigurationError: Storage refused the request.
    """
    for _ in range(_ATTEMPTS):
        # Row first: if another attempt writes its sidecar and row in between, the write of this row is refused.
        row = results.read_row(image)
        sidecar = results.read_sidecar(image)
        if row is None or row.record is None or not same_etag(row.record.etag, etag):
            return None
        written = sidecar.record if sidecar else None
        if written is not None and not same_attempt(written, row.record):
            return None  # it is about to write its row, with the facts
        amended = change(written or row.record)
        try:
            if amended != written:
                results.write_sidecar(amended, sidecar)
        except ConflictError:
            continue
        for index_row in index_rows(amended):
            results.write_index_row(index_row)
        try:
            results.write_row(replace(amended, superseded=row.record.superseded, shared=row.record.shared), row)
        except ConflictError:
            current = results.read_row(image)
            kept = current.record.index_keys() if current and current.record else set()
            for address in amended.index_keys() - kept:
                results.delete_index_row(address)
            continue
        for address in row.record.index_keys() - amended.index_keys():
            results.delete_index_row(address)
        return amended
    return None
