"""Applies the rules of ``decision.json`` to a record: at upload, and later from the scores that the sidecar keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.predictions import Decision
    from storage.results.record import Record


def decided(record: Record, decision: Decision, scores: bytes) -> Record:
    """Return a classified record with the decision as its label. ``predictions`` stay those of the model.

    Args:
        record: The record; only its blob name counts.
        decision: The rules for the model that gave the scores.
        scores: The scores of all labels, float16.

    Raises:
        ValueError: These are not as many scores as the model has labels.
    """
    label, label_index, score = decision.decide(scores, record.blob_name)
    return replace(record, label=label, label_index=label_index, score=score, decision_version=decision.version)
