"""Reads what estimates need from storage: all rows once, each with the reviews of its content."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from inference.errors import ConfigurationError
from storage.query.plan import Filter
from storage.query.query import Query
from storage.results.record import Status
from storage.reviews.join import span_of, with_reviews
from storage.reviews.review import Sample
from storage.tables import TableReader
from tools.terminal import printable
from tools.trust.tally import Review, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import date

    from storage.results.record import Record
    from storage.reviews.join import ReviewedRow
    from storage.reviews.review import Review as StoredReview
    from tools.account import Account


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
        fitting = [review for review in row.reviews if fits(review, row.record)]
        if fitting:
            # The draw decides whether a row is in the sample; the newest review decides the label that it really has.
            self.tally.add_review(Review(label, score, row.newest.reviewed_label))
            day = fitting[0].reviewed_at.date()
            self.newest = day if self.newest is None else max(self.newest, day)
        else:
            was_drawn = any(review.sample is Sample.RANDOM for review in row.reviews)
            (self.outdated if was_drawn else self.chosen)[label] += 1

    @property
    def classified_later(self) -> int:
        """How many rows were classified on a day after the newest review: no draw can have held them."""
        return sum(rows for day, rows in self.days.items() if self.newest is not None and day > self.newest)


def rows_with_reviews(
    account: Account, counted: Callable[[Iterable[Record]], Iterable[Record]]
) -> Iterator[ReviewedRow]:
    """Every row of the incoming container, each with the reviews of its content.

    Args:
        account: Where they are.
        counted: Passes the rows on, for a view of the progress.
    """
    settings = account.settings
    reviews = TableReader(account.clients.tables.get_table_client(settings.reviews_table))
    query = Query(account.clients.tables, settings.results_table, Filter(settings.incoming_container))
    return with_reviews(counted(query.records()), reviews, [span_of(settings.incoming_container)])


def choose_model(images: Mapping[Model, int], requested: str | None) -> Model | None:
    """The requested model, or the one with most images; ``None`` where there is no image.

    Args:
        images: How many images each model classified.
        requested: A name or a version.

    Raises:
        ConfigurationError: No image was classified by the requested model.
    """
    matching = [model for model in images if requested in {None, *model}]
    if images and not matching:
        models = ", ".join(f"{model.name} {model.version}" for model in images)
        raise ConfigurationError(f"No photo was classified by {printable(str(requested))}, but by {printable(models)}.")
    return max(matching, key=lambda model: images[model], default=None)


def model_of(record: Record) -> Model:
    """The model that gave a row's label."""
    return Model(record.model, record.model_version)


def fits(review: StoredReview, record: Record) -> bool:
    """Whether a review of a row's content belongs to the random sample of the row's label."""
    return review.sample is Sample.RANDOM and (review.label, review.model_version) == (
        record.label,
        record.model_version,
    )


def read_findings(rows: Iterable[ReviewedRow]) -> dict[Model, Findings]:
    """Sort rows by the model that gave their label. Rows without a label and a score are left out."""
    found: dict[Model, Findings] = {}
    for row in rows:
        record = row.record
        if record.status is Status.CLASSIFIED and record.label is not None and record.score is not None:
            found.setdefault(model_of(record), Findings()).add(row, record.label, min(max(record.score, 0.0), 1.0))
    return found
