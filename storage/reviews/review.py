"""One person's review of one content of an image, and its entity in the reviews table."""

from __future__ import annotations

import logging
import math
import sys
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from azure.data.tables import EntityProperty

from storage import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)


class Sample(StrEnum):
    """How the reviewed images were selected, which decides what the reviews can show about the others."""

    RANDOM = "random"
    CHOSEN = "chosen"


class Content(NamedTuple):
    """One content of one image. Names are opaque text, compared exactly.

    Attributes:
        etag: Of the bytes that the reviewer saw, without quotes.
    """

    container: str
    blob_name: str
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What one reviewer found in one content. Each field is a column.

    Attributes:
        reviewed_label: The label that the reviewer gives; ``None`` where the reviewer is unsure.
        reviewed_by: The reviewer's name.
        reviewed_at: When; aware.
        label: The label that the reviewer saw; ``None`` where there was none.
        score: The score beside it, in [0, 1]; ``None`` where it is not known.
        model: The model of that label; ``None`` where it is not known.
        model_version: Its version, likewise.
        sample: How the image was selected for review.
    """

    reviewed_label: str | None
    reviewed_by: str
    reviewed_at: datetime
    label: str | None = None
    score: float | None = None
    model: str | None = None
    model_version: str | None = None
    sample: Sample = Sample.CHOSEN

    def is_same_as(self, other: Review) -> bool:
        """Whether both state the same. The answer that the reviewer saw does not count: a later import may know it."""
        return (self.reviewed_label, self.reviewed_by, self.reviewed_at, self.sample) == (
            other.reviewed_label,
            other.reviewed_by,
            other.reviewed_at,
            other.sample,
        )


REVIEW_COLUMNS = ("reviewed_label", "reviewed_by", "reviewed_at")
"""The columns that a result gets from the newest review of its content."""


def to_entity(content: Content, review: Review) -> dict[str, Any]:
    """The entity of the reviews table; absent values are left out."""
    partition_key, row_key = keys.review_keys(*content, review.reviewed_by)
    columns = {each.name: getattr(review, each.name) for each in fields(Review)}
    entity = {"PartitionKey": partition_key, "RowKey": row_key, **content._asdict(), **columns}
    return {name: value for name, value in entity.items() if value is not None} | {"sample": str(review.sample)}


def from_entity(entity: Mapping[str, Any]) -> tuple[Content, Review]:
    """Read an entity that ``to_entity`` made.

    Raises:
        ValueError: This app did not write it, or a person edited it. Every defect raises this one class.
    """
    try:
        content = Content(*(_text(entity[name]) for name in Content._fields))
        reviewer = _text(entity["reviewed_by"])
        address = keys.review_keys(*content, reviewer)
        score = _plain(entity.get("score"))
        review = Review(
            reviewed_label=_optional_text(entity.get("reviewed_label")),
            reviewed_by=reviewer,
            reviewed_at=_time(_plain(entity["reviewed_at"])),
            label=_optional_text(entity.get("label")),
            score=None if score is None else _score(score),
            model=_optional_text(entity.get("model")),
            model_version=_optional_text(entity.get("model_version")),
            sample=Sample(entity.get("sample", Sample.CHOSEN)),
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"not a review of this app: {error}") from error
    if address != (entity["PartitionKey"], entity["RowKey"]):
        raise ValueError("not a review of this app: its keys are those of another review")
    return content, review


def from_any_entity(entity: Mapping[str, Any]) -> tuple[Content, Review] | None:
    """Read an entity of the reviews table; ``None``, and a warning, where ``from_entity`` refuses it."""
    try:
        return from_entity(entity)
    except ValueError as error:
        logger.warning(
            "review_unreadable partition_key=%r row_key=%r error=%s", entity["PartitionKey"], entity["RowKey"], error
        )
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text was expected")
    return sys.intern(value)  # labels, names and models repeat in many reviews


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _score(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("a score is no finite number")
    return float(value)


def _time(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError("reviewed_at is no time")
    return datetime.combine(value.date(), value.time(), UTC)  # of the standard class; tables hold UTC


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, EntityProperty) else value
