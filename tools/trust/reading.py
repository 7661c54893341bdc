"""Reads what estimates need from storage: all rows once, each with the reviews of its content."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from storage.results.record import Status
from storage.reviews.review import Sample
from tools.trust.tally import Review, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from storage.reviews.join import ReviewedRow
    from storage.reviews.review import Review as StoredReview


class Model(NamedTuple):
    """A model, as rows name it."""

    name: str
    version: str


@dataclass(slots=True)
class Findings:
    """The rows of one model, and the reviews that fit them.

    A review belongs to the random sample of a row if it was drawn at random and its reviewer saw the label that the row
    still has, given by the same model. Only then does its chance of being drawn depend on the row's label and score.

    Attributes:
        tally: The rows by label and score, and the random sample.
        chosen: By label, how many reviewed rows people chose to review.
        outdated: By label, how many reviewed rows had another label or model when they were drawn at random.
        days: How many rows were classified on each day, in UTC.
        newest: The day of the newest review of the sample.
    """

    tally: Tally = field(default_factory=Tally)
    chosen: Counter[str] = field(default_factory=Counter)
    outdated: Counter[str] = field(default_factory=Counter)
    days: Counter[date] = field(default_factory=Counter)
    newest: date | None = None

    def add(self, row: ReviewedRow, label: str, score: float) -> None:
        """Add one classified row."""
        self.tally.add(label, score)
        self.days[row.record.classified_at.date()] += 1
        if row.newest is None:
            return
        drawn = [review for review in row.reviews if review.sample is Sample.RANDOM]
        fitting = [review for review in drawn if _saw(review, label, row.record.model_version)]
        if fitting:
            # The draw decides whether a row is in the sample; the newest review decides the label that it really has.
            self.tally.add_review(Review(label, score, row.newest.reviewed_label))
            day = fitting[0].reviewed_at.date()
            self.newest = day if self.newest is None else max(self.newest, day)
        else:
            (self.outdated if drawn else self.chosen)[label] += 1

    @property
    def classified_later(self) -> int:
        """How many rows were classified on a day after the newest review: no draw can have held them."""
        return sum(rows for day, rows in self.days.items() if self.newest is not None and day > self.newest)


def read_findings(rows: Iterable[ReviewedRow]) -> dict[Model, Findings]:
    """Sort rows by the model that gave their label. Rows without a label and a score are left out."""
    found: dict[Model, Findings] = {}
    for row in rows:
        record = row.record
        if record.status is Status.CLASSIFIED and record.label is not None and record.score is not None:
            model = Model(record.model, record.model_version)
            found.setdefault(model, Findings()).add(row, record.label, min(max(record.score, 0.0), 1.0))
    return found


def _saw(review: StoredReview, label: str, model_version: str) -> bool:
    return (review.label, review.model_version) == (label, model_version)
