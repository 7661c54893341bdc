"""Compares a sidecar with its row by a listing of the results container, without reading the sidecar.

Every byte of a sidecar but the scores follows from the row. A listing shows the MD5 that storage computed of the whole
blob. A sidecar with scores therefore has two entries of metadata: the MD5 of its bytes without the scores, which the
row explains, and the MD5 of all its bytes, which shows whether the first entry belongs to the content that is there.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from storage.results.serialization import to_sidecar

if TYPE_CHECKING:
    from storage.listing import Listed
    from storage.results.record import Record

_WITHOUT_SCORES, _COMPLETE = "without_scores_md5", "complete_md5"


def metadata(record: Record, content: bytes) -> dict[str, str] | None:
    """Return the metadata of a record's sidecar, whose bytes are ``content``; ``None`` for one without scores."""
    if record.scores is None:
        return None
    return {_WITHOUT_SCORES: expected(record), _COMPLETE: _md5(content)}


def expected(record: Record) -> str:
    """Return the MD5 of a record's sidecar without its scores, as hex."""
    return _md5(to_sidecar(replace(record, scores=None)))


def found(blob: Listed) -> str:
    """Return the MD5 of a listed sidecar without its scores, as hex; another text where that is not known."""
    complete = blob.content_md5.hex() if blob.content_md5 else ""
    if complete and blob.metadata.get(_COMPLETE) == complete:
        return blob.metadata.get(_WITHOUT_SCORES) or ""
    return complete


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
