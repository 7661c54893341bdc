"""Finds the answers to compare: of several models or a candidate in one row, or of the rows of two tables."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from inference.errors import ConfigurationError
from inference.predictions import ModelIdentity
from storage.etags import same_etag
from storage.keys import image_keys
from storage.query.lookup import RowLookup
from storage.results.record import Status
from storage.tables import PAGE, TableReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from azure.data.tables import TableServiceClient

    from storage.results.record import Record
    from storage.reviews.join import ReviewedRow


_MAX_NAMES = 10  # in a message


class Side(NamedTuple):
    """One answer: the model, its label, and its score in [0, 1]."""

    model: ModelIdentity
    label: str
    score: float


class Pair(NamedTuple):
    """Two answers about the same content of one image."""

    row: ReviewedRow
    first: Side
    other: Side


def of_answers(rows: Iterable[ReviewedRow]) -> Iterator[Pair]:
    """Pair the first model's answer in a row with that of each other model, and the row's with that of a candidate."""
    for row in rows:
        answers = [Side(each.model, each.label, each.score) for each in row.record.answers]
        for other in answers[1:]:
            yield Pair(row, answers[0], other)
        if shadow := row.record.shadow:
            yield Pair(row, _side(row.record), Side(shadow.model, shadow.label, shadow.score))


def of_tables(rows: Iterable[ReviewedRow], tables: TableServiceClient, other_table: str) -> Iterator[Pair]:
    """Pair each classified row with the row of the same content in another results table.

    A request reads up to 1,000 rows of the other table where the rows lie close together.

    Args:
        rows: Of the app's own table.
        tables: A pooled client of the account.
        other_table: Name of the other results table.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused.
    """
    with RowLookup(TableReader(tables.get_table_client(other_table))) as lookup:
        classified = (row for row in rows if row.record.status is Status.CLASSIFIED)
        while batch := list(islice(classified, PAGE)):
            addresses = [image_keys(row.record.container, row.record.blob_name) for row in batch]
            found = lookup.records(addresses)
            for row, address in zip(batch, addresses, strict=True):
                other = found.get(address)
                if other and other.status is Status.CLASSIFIED and same_etag(other.etag, row.record.etag):
                    yield Pair(row, _side(row.record), _side(other))


def check_table(tables: TableServiceClient, name: str, own: str) -> None:
    """Refuse a table that cannot be compared with.

    Raises:
        ConfigurationError: It is the app's own, or the account has no such table.
    """
    if name == own:
        raise ConfigurationError(f"--compare {name} is the app's own table: name the results table of another run.")
    names = [table.name for table in tables.list_tables() if not table.name.endswith(("index", "reviews"))]
    if name not in names:
        known = ", ".join([each for each in sorted(names) if each != own][:_MAX_NAMES])
        hint = f" It has {known}." if known else " It has no other results table."
        raise ConfigurationError(f"--compare {name}: the account has no such table.{hint}")


def _side(record: Record) -> Side:
    identity = ModelIdentity(record.model, record.model_version)
    return Side(identity, record.label or "", record.score or 0.0)
