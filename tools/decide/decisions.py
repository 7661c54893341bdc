"""What a decision changes: each row beside its sidecar, and the label that the rules give now."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from inference.predictions import UNKNOWN
from storage.pipeline.decision import decided
from storage.results.amend import Found
from storage.results.commit import same_attempt
from storage.results.record import Record, Status

if TYPE_CHECKING:
    from inference.predictions import Decision
    from storage.results.store import Results, Stored


class Left(Enum):
    """Why a row is left as it is; the value is the name of its count in the summary."""

    SKIPPED = "skipped"  # these rules decided it already
    NOT_CLASSIFIED = "not_classified"
    OTHER_MODEL = "other_model"
    WITHOUT_SCORES = "without_scores"
    IN_PROGRESS = "in_progress"  # an upload is writing a newer result


class Change(NamedTuple):
    """A row that is decided again.

    Attributes:
        found: Row and sidecar, as they were read.
        before: The row's label.
        after: The label that the rules give.
    """

    found: Found
    before: str
    after: str


@dataclass(slots=True)
class Counts:
    """What a run did, by row.

    Attributes:
        listed: Rows that the filters select.
        decided: Rows that have the new decision now; with ``--dry-run``, would have.
        changed: Those of them whose label changed.
        failed: Storage failed.
        left: The others, by reason.
        labels: Rows to decide, by earlier and new label.
    """

    listed: int = 0
    decided: int = 0
    changed: int = 0
    failed: int = 0
    left: Counter[Left] = field(default_factory=Counter)
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Decisions:
    """Makes decisions about results of one model. Thread-safe.

    Attributes:
        model_version: The model whose scores the rules are for.
        rules: The rules; ``None`` gives rows the model's own label back.
        min_score: Without rules: below this score the label is ``unknown``.
    """

    model_version: str
    rules: Decision | None
    min_score: float | None = None

    @property
    def version(self) -> str | None:
        """The ``decision_version`` of rows that need no decision."""
        return self.rules.version if self.rules else None

    def without_reading(self, row: Record) -> Left | None:
        """Why a row is left, as far as the row alone shows it."""
        if row.status is not Status.CLASSIFIED:
            return Left.NOT_CLASSIFIED
        if row.model_version != self.model_version:
            return Left.OTHER_MODEL
        return Left.SKIPPED if row.decision_version == self.version else None

    def read(self, results: Results, row: Stored) -> Change | Left:
        """Read the sidecar of a row and decide: one request.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        record = row.record
        assert record is not None  # ``stored_rows`` yields no other
        sidecar = results.read_sidecar(record.image)
        written = sidecar.record if sidecar else None
        if written is None:
            return Left.WITHOUT_SCORES
        if not same_attempt(written, record):
            return Left.IN_PROGRESS
        changed = self.decide(written)
        if changed is None:
            return Left.WITHOUT_SCORES
        return Change(Found(row, sidecar), str(record.label), str(changed.label))

    def decide(self, record: Record) -> Record | None:
        """The record of a sidecar with its label decided; ``None`` where it has no scores of this model's labels."""
        if self.without_reading(record) in {Left.NOT_CLASSIFIED, Left.OTHER_MODEL}:
            return None
        if self.rules is None:
            return self._as_the_model(record)
        try:
            return decided(record, self.rules, record.scores) if record.scores else None
        except ValueError:
            return None  # a person edited the sidecar: these are not the scores of this model

    def _as_the_model(self, record: Record) -> Record | None:
        if not record.predictions:
            return None
        label, index, score = record.predictions[0]
        unknown = self.min_score is not None and score < self.min_score
        return replace(
            record,
            label=UNKNOWN if unknown else label,
            label_index=None if unknown else index,
            score=score,
            decision_version=None,
        )
