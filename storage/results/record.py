"""The latest outcome for one image, and the index rows that lead to it. Times are aware UTC; a score is never NaN."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from azure.data.tables import EntityProperty

from storage import keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from inference.predictions import Answer, Prediction

MAX_SUPERSEDED = 32
"""Index keys that a record keeps of attempts it replaced, newest last: 16 attempts fit a column at full length."""


class Status(StrEnum):
    """The result of the work on an image."""

    CLASSIFIED = "classified"
    REJECTED = "rejected"  # this image can never be classified; reason and detail say why
    FAILED = "failed"  # every attempt failed; redrive queues it again


@dataclass(frozen=True, slots=True)
class Image:
    """The address of an image. Names are opaque text, compared exactly."""

    container: str
    blob_name: str

    def __str__(self) -> str:
        return f"{self.container}/{self.blob_name}"


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One row of the index table. Its keys hold label or status, day and time; its columns answer a query."""

    keys: keys.RowKeys
    columns: Mapping[str, Any]

    @classmethod
    def from_entity(cls, entity: Mapping[str, Any]) -> IndexRow:
        """Read any row of the index table, also one that this app did not write."""
        columns = {name: value for name, value in entity.items() if name not in {"PartitionKey", "RowKey"}}
        return cls(keys.RowKeys(entity["PartitionKey"], entity["RowKey"]), columns)

    def to_entity(self) -> dict[str, Any]:
        """The entity to write."""
        return {"PartitionKey": self.keys.partition_key, "RowKey": self.keys.row_key, **self.columns}

    def canonical_text(self) -> str:
        """Keys and columns as one text: two rows are equal when their texts are."""
        columns = sorted((name, _plain(value)) for name, value in self.columns.items())
        return f"{self.keys.partition_key}\n{self.keys.row_key}\n{columns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The outcome for one content (ETag) of one image by one model.

    Each field is a column of the row and a key of the sidecar, in this order; ``serialization`` reads the fields. A
    further column is a field with a default, at the end of the columns: earlier rows and sidecars do not have it. A
    ``bool`` is a flag: false counts as absent.

    Attributes:
        score: Probability in [0, 1]; absent where there is no label.
        predictions: The best ``top_k``, best first; empty where there is no label.
        classified_at: When this outcome was reached; aware, UTC.
        etag: Of the bytes that were classified, without quotes.
        blob_last_modified: The source's own time, one-second grain.
        content_length: Bytes of the source blob.
        width: Pixels, after EXIF orientation.
        height: Pixels, after EXIF orientation.
        queue_delay_ms: From the blob's last change to the start of work on it.
        duration_ms: From the start of work to the first result write.
        sidecar: ``container/name`` of the sidecar blob.
        damaged: A part of the picture is missing or wrong, and it was classified all the same.
        decoded_fraction: The part of the stored picture's height, from the top, that is good: 0..1; only with
            ``damaged``.
        color_profile: The name of an embedded colour profile that differs from sRGB and was not applied.
        md5_mismatch: The MD5 in the source blob's properties is not that of its content.
        taken_at: When the photo was taken, on the camera's clock: ``YYYY-MM-DDTHH:MM:SS[.fff][+HH:MM]``, with an offset
            only where the camera states one. Text, because a time without offset is no moment in UTC.
        taken_from: Where ``taken_at`` stands: ``exif`` or ``file_name``.
        camera_make: As the camera writes it; so are ``camera_model`` and ``camera_serial``.
        temperature_c: Of the air, as the camera measured it, in degrees Celsius.
        latitude: Degrees, north positive; only with ``KEEP_LOCATION=yes``.
        longitude: Degrees, east positive; only with ``KEEP_LOCATION=yes``.
        content_md5: MD5 of the bytes that were classified, 32 lower-case hex digits.
        phash: Perceptual hash of the decoded picture, 16 lower-case hex digits.
        decision_version: Identifies the ``decision.json`` that made the label; absent where the label is the model's.
        scores: The scores of all labels: float16, little endian, the position is the label index. Only the sidecar
            holds them, so a record that was read from a row has none, and two records are equal without them.
        answers: One answer per model where several were asked, else empty. A row keeps them without predictions.
        shadow: What a candidate on trial answered (``SHADOW_MODEL_DIR``); absent where none was asked. A row keeps it
            without predictions.
        superseded: Index rows that a replaced attempt may still write (see ``commit``).
        shared: More than one attempt writes this outcome, so one of them may still be running when another is done.
        notify_due: The message about this result (``NOTIFY_QUEUE``) may not have been sent. Of the row alone.
    """

    container: str
    blob_name: str
    status: Status
    label: str | None = None
    label_index: int | None = None
    score: float | None = None
    predictions: tuple[Prediction, ...] = ()
    reason: str | None = None
    detail: str | None = None
    classified_at: datetime
    model: str
    model_version: str
    etag: str
    blob_last_modified: datetime | None = None
    content_length: int | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    queue_delay_ms: int | None = None
    duration_ms: int | None = None
    sidecar: str
    damaged: bool = False
    decoded_fraction: float | None = None
    color_profile: str | None = None
    md5_mismatch: bool = False
    taken_at: str | None = None
    taken_from: str | None = None
    camera_make: str | None = None
    camera_model: str | None = None
    camera_serial: str | None = None
    temperature_c: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    content_md5: str | None = None
    phash: str | None = None
    decision_version: str | None = None
    # The columns below are not shown by ``query``.
    scores: bytes | None = field(default=None, repr=False, compare=False)
    answers: tuple[Answer, ...] = ()
    shadow: Answer | None = None
    superseded: tuple[keys.RowKeys, ...] = ()
    shared: bool = False
    notify_due: bool = False

    def __post_init__(self) -> None:
        if self.score is not None and not math.isfinite(self.score):
            raise ValueError(f"a score must be a finite number, not {self.score}")

    @property
    def image(self) -> Image:
        """The image that this record is about."""
        return Image(self.container, self.blob_name)

    def index_addresses(self) -> tuple[keys.RowKeys, ...]:
        """The keys of its index rows: by status, and by label and by time of capture where these are known."""
        facets = [("status", str(self.status))]
        if self.label is not None:
            facets.append(("label", self.label))
        row_key = keys.index_row_key(self.container, self.blob_name, self.classified_at)
        addresses = [
            keys.RowKeys(keys.index_partition(kind, value, self.classified_at), row_key) for kind, value in facets
        ]
        if taken := keys.wall_clock(self.taken_at):
            row_key = keys.index_row_key(self.container, self.blob_name, taken)
            addresses.append(keys.RowKeys(keys.index_partition(*keys.TAKEN, taken), row_key))
        return tuple(addresses)

    def index_keys(self) -> set[keys.RowKeys]:
        """``index_addresses`` as a set."""
        return set(self.index_addresses())

    def superseding(self, other: Record, *, finished: bool = False) -> Record:
        """This record with the keys of index rows that replaced attempts may still write.

        Args:
            other: The record that this one replaces in the sidecar.
            finished: The other's only attempt has ended, so its index rows are removed together with its row.
        """
        own = self.index_keys()
        others = [*self.superseded, *other.superseded, *(() if finished else other.index_addresses())]
        kept = dict.fromkeys(key for key in others if key not in own)
        return replace(self, superseded=tuple(kept)[-MAX_SUPERSEDED:])


def _plain(value: Any) -> str:
    """A column's text, whether it has one of the SDK's classes of integers and datetimes or not."""
    value = value.value if isinstance(value, EntityProperty) else value
    return str(value.isoformat() if hasattr(value, "isoformat") else value)
