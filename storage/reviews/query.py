"""A query of results whose answers carry their reviews, and can be selected by them. It writes and creates nothing.

The reviews are joined to the answers of the query (see ``join``). Where only reviewed images are asked for and no
other filter leads to a key range, the reviews lead to the rows instead: a request for each reviewed image in place of
one for each thousand images of the container.
"""

from __future__ import annotations

from dataclasses import fields
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from storage.query.plan import Kind, plan
from storage.query.query import Query
from storage.results.record import Record
from storage.reviews.join import reviewed_rows, span_of, with_reviews, written_since
from storage.tables import RequestCounter, TableReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from azure.data.tables import TableServiceClient

    from storage.query.plan import Filter
    from storage.reviews.join import ReviewedRow

_NAMES = tuple(each.name for each in fields(Record))


class Selection(StrEnum):
    """Which images to return, by the reviews of their present content."""

    REVIEWED = "reviewed"
    UNREVIEWED = "unreviewed"
    DISAGREE = "disagree"  # the newest review gives another label than the row, or reviewers give several

    def accepts(self, row: ReviewedRow) -> bool:
        """Whether a result belongs to the selection."""
        if self is Selection.DISAGREE:
            return row.disagrees
        return bool(row.reviews) is (self is Selection.REVIEWED)


class ReviewedQuery:
    """One query of an account's tables. Not thread-safe.

    Args:
        tables: A pooled client of the account.
        table: Name of the results table; the reviews table is the same name and ``reviews``.
        row_filter: Which rows to return.
        selection: Which of them, by their reviews; ``None`` for all.
        verify: Confirm each answer of the index by its row.

    Attributes:
        query: The same query without reviews.
        kind: Point, range or scan.
        table: The table whose keys answer it.
        in_keys: The given parts of filter and selection that its key ranges hold.
        compared: The other given parts.
    """

    def __init__(
        self,
        tables: TableServiceClient,
        table: str,
        row_filter: Filter,
        *,
        selection: Selection | None = None,
        verify: bool = False,
    ) -> None:
        self.query = Query(tables, table, row_filter, verify=verify)
        self._filter = row_filter
        self._selection = selection
        reviews_table = f"{table}reviews"
        self._rows_counter, self._reviews_counter = RequestCounter(), RequestCounter()
        self._rows = TableReader(tables.get_table_client(table), counter=self._rows_counter)
        self._reviews = TableReader(tables.get_table_client(reviews_table), counter=self._reviews_counter)
        self._starts_from_reviews = self.query.kind is Kind.SCAN and selection in {
            Selection.REVIEWED,
            Selection.DISAGREE,
        }
        self.kind = Kind.RANGE if self._starts_from_reviews else self.query.kind
        self.table = reviews_table if self._starts_from_reviews else self.query.table
        by_review = () if selection is None else (str(selection),)
        self.in_keys, self.compared = self.query.in_keys, (*self.query.compared, *by_review)
        if self._starts_from_reviews:
            self.in_keys, self.compared = by_review, tuple(row_filter.given)

    @property
    def requests(self) -> int:
        """How many requests for rows and index rows were answered so far."""
        return self.query.requests + self._rows_counter.count

    @property
    def review_requests(self) -> int:
        """How many requests for reviews were answered so far."""
        return self._reviews_counter.count

    def rows(self, limit: int | None = None) -> Iterator[ReviewedRow]:
        """Yield the matching rows, at most ``limit``.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        if self._starts_from_reviews:
            found = reviewed_rows(self._reviews, self._rows, self._filter.container)
            matching = (row for row in found if self._filter.matches(_columns(row.record)))
            return islice(filter(self.selects, matching), limit)
        records = self.query.records(limit if self._selection is None else None)
        return islice(filter(self.selects, self.joined(records)), limit)

    def joined(self, records: Iterable[Record]) -> Iterator[ReviewedRow]:
        """Yield results of this query with their reviews, in the given order; see ``selects``."""
        planned = plan(self._filter)
        spans = [span_of(self._filter.container)]
        if planned.kind is Kind.RANGE and not planned.in_index:
            spans = [span for stream in planned.streams for span in stream]
        return with_reviews(records, self._reviews, spans, few=planned.kind is Kind.POINT)

    def reviewed_since(self, time: datetime) -> Iterator[ReviewedRow]:
        """Yield the results of the container with a review that was imported at this time or later, with those reviews.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        return reviewed_rows(self._reviews.where(written_since(time)), self._rows, self._filter.container)

    def selects(self, row: ReviewedRow) -> bool:
        """Whether a result belongs to the selection."""
        return self._selection is None or self._selection.accepts(row)


def _columns(record: Record) -> dict[str, object]:
    return {name: getattr(record, name) for name in _NAMES}
