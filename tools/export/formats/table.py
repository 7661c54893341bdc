"""A table that a format writes: its columns with their kinds, and its rows, which are read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.reviews.columns import ROW_KINDS, row_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from storage.reviews.join import ReviewedRow


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with the same columns.

    Attributes:
        kinds: The kind of each column, in their order, as in ``storage.reviews.columns.ROW_KINDS``.
        rows: The values of each row, in the order of ``kinds``; ``None`` where absent.
    """

    kinds: Mapping[str, str]
    rows: Iterable[Mapping[str, Any]]


def table_of(rows: Iterable[ReviewedRow]) -> Table:
    """The rows with the columns of a result and of its newest review."""
    return Table(ROW_KINDS, map(row_values, rows))
