"""The columns of a result with those of its newest review, as queries and exports show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.results.serialization import COLUMN_KINDS, COLUMNS, column_values
from storage.reviews.review import REVIEW_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.reviews.join import ReviewedRow

ROW_COLUMNS = (*COLUMNS, *REVIEW_COLUMNS)
"""The columns in their order: those of the row first."""
ROW_KINDS: Mapping[str, str] = {**COLUMN_KINDS, **dict.fromkeys(REVIEW_COLUMNS, "str"), "reviewed_at": "datetime"}
"""The kind of each, as in ``COLUMN_KINDS``."""


def row_values(row: ReviewedRow) -> dict[str, Any]:
    """The values of ``ROW_COLUMNS``, in their order: texts, numbers and aware datetimes; ``None`` where absent."""
    return column_values(row.record) | row.review_columns()
