"""Compares a sidecar with its row by a listing of the results container, without reading the sidecar.

Every byte of a sidecar follows from the row, but for the scores and the predictions of further models. A listing shows
the MD5 that storage computed of the whole blob. A sidecar with more than its row therefore has two entries of metadata:
the MD5 of its bytes without that, which the row explains, and the MD5 of all its bytes, which shows whether the first
entry belongs to the content that is there.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from storage.results.serialization import to_sidecar

if TYPE_CHECKING:
    from inference.predictions import Answer
    from storage.listing import Listed
    from storage.results.record import Record

_WITHOUT_SCORES, _COMPLETE = "without_scores_md5", "complete_md5"


def metadata(record: Record, content: bytes) -> dict[str, str] | None:
    """Return the metadata of a record's sidecar, whose bytes are ``content``; ``None`` where its row explains them."""
    from_row, complete = expected(record), _md5(content)
    return None if from_row == complete else {_WITHOUT_SCORES: from_row, _COMPLETE: complete}


def expected(record: Record) -> str:
    """Return the MD5 of what a record's row says of its sidecar, as hex."""
    answers = tuple(map(_without_predictions, record.answers))
    shadow = _without_predictions(record.shadow) if record.shadow else None
    return _md5(to_sidecar(replace(record, scores=None, answers=answers, shadow=shadow)))


def found(blob: Listed) -> str:
    """Return the MD5 of what follows from the row in a listed sidecar, as hex; another text where it is not known."""
    complete = blob.content_md5.hex() if blob.content_md5 else ""
    if complete and blob.metadata.get(_COMPLETE) == complete:
        return blob.metadata.get(_WITHOUT_SCORES) or ""
    return complete


def _without_predictions(answer: Answer) -> Answer:
    return answer._replace(predictions=())


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
