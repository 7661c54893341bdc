"""One image's latest outcome, and its two written forms: the table row and the JSON sidecar.

Both say the same with the same names. Absent values are left out of the row and are ``null`` in the sidecar. Times are
aware UTC everywhere; a score is never NaN.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from azure.data.tables import EdmType, EntityProperty

from inference.predictions import Answer, ModelIdentity, Prediction
from storage import keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCHEMA_VERSION = 1
MAX_TEXT_UNITS = 32 * 1024
"""A string column holds 64 KiB of UTF-16."""
MAX_SUPERSEDED = 32
"""Index keys a record remembers of attempts it beat, newest kept: 16 attempts, which fit a column at full length."""

_TIMES = frozenset({"classified_at", "blob_last_modified"})
_INT32 = 2**31  # a larger int must be tagged, or the SDK refuses it: a delay of 25 days in ms already is one


class Status(StrEnum):
    """How the work on an image ended."""

    CLASSIFIED = "classified"
    REJECTED = "rejected"  # this image can never be classified; reason and detail say why
    FAILED = "failed"  # given up for now; redrive it


@dataclass(frozen=True, slots=True)
class Image:
    """Which image: names are opaque text, compared exactly."""

    container: str
    blob_name: str

    def __str__(self) -> str:
        return f"{self.container}/{self.blob_name}"


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One row of the index table. Its address says label or status, day and time; its columns answer a query."""

    keys: keys.RowKeys
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """The outcome for one content (ETag) of one image by one model.

    Attributes:
        etag: Of the bytes that were judged, without quotes.
        classified_at: When this outcome was reached; aware, UTC.
        score: Probability in [0, 1]; absent where there is no label.
        predictions: The best ``top_k``, best first; empty where there is no label.
        answers: What each of several models says; empty where one was asked. A row keeps them without predictions.
        blob_last_modified: The source's own time, one-second grain.
        content_length: Bytes of the source blob.
        width: Pixels, oriented.
        height: Pixels, oriented.
        queue_delay_ms: From the blob's last change to the start of work on it.
        duration_ms: From the start of work to the first result write.
        sidecar: ``container/name`` of the sidecar blob.
        superseded: Index rows that an abandoned attempt may yet have written beside this one (see ``commit``).
        shared: More than one attempt carries this outcome on, so that one of them may be asleep when another is done.
    """

    container: str
    blob_name: str
    status: Status
    etag: str
    model: str
    model_version: str
    classified_at: datetime
    sidecar: str
    label: str | None = None
    label_index: int | None = None
    score: float | None = None
    predictions: tuple[Prediction, ...] = ()
    answers: tuple[Answer, ...] = ()
    reason: str | None = None
    detail: str | None = None
    blob_last_modified: datetime | None = None
    content_length: int | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    queue_delay_ms: int | None = None
    duration_ms: int | None = None
    superseded: tuple[keys.RowKeys, ...] = ()
    shared: bool = False

    def __post_init__(self) -> None:
        if self.score is not None and not math.isfinite(self.score):
            raise ValueError(f"the score {self.score} is no number, so it is no score")

    @property
    def image(self) -> Image:
        """Which image this is about."""
        return Image(self.container, self.blob_name)

    def index_rows(self) -> tuple[IndexRow, ...]:
        """The index rows of this outcome: by status, and by label where there is one."""
        columns = {
            name: value
            for name in ("container", "blob_name", "status", "label", "score", "etag", "classified_at")
            if (value := getattr(self, name)) is not None
        }
        columns["status"] = str(self.status)
        facets = [("status", str(self.status))]
        if self.label is not None:
            facets.append(("label", self.label))
        row_key = keys.index_row_key(self.container, self.blob_name, self.classified_at)
        return tuple(
            IndexRow(keys.RowKeys(keys.index_partition(kind, value, self.classified_at), row_key), columns)
            for kind, value in facets
        )

    def superseding(self, other: Record, *, settled: bool = False) -> Record:
        """This record, remembering the index rows that others may still write.

        Args:
            other: What this record replaces in the sidecar.
            settled: The other's own attempt has finished, and nobody shared it: its index rows go with its row.
        """
        mine = {row.keys for row in self.index_rows()}
        theirs = [*self.superseded, *other.superseded, *(() if settled else (row.keys for row in other.index_rows()))]
        return replace(
            self, superseded=tuple(dict.fromkeys(key for key in theirs if key not in mine))[-MAX_SUPERSEDED:]
        )

    def to_entity(self) -> dict[str, Any]:
        """The table row."""
        partition_key, row_key = keys.image_keys(self.container, self.blob_name)
        entity: dict[str, Any] = {"PartitionKey": partition_key, "RowKey": row_key}
        for name, value in self._plain().items():
            if isinstance(value, int) and value >= _INT32:
                entity[name] = EntityProperty(value, EdmType.INT64)
            elif value is not None:
                entity[name] = value
        if self.predictions:
            entity["top_k"] = _bounded_json(_predictions_json(self.predictions))
        if self.answers:
            entity["answers"] = _bounded_json([_answer_json(answer) for answer in self.answers])
        if self.superseded:
            entity["superseded"] = _bounded_json(self.superseded)
        if self.shared:
            entity["shared"] = True
        return entity

    @classmethod
    def from_entity(cls, entity: Mapping[str, Any]) -> Record:
        """Read a row back."""
        values = {name: _value(entity.get(name)) for name in _COLUMNS}
        predictions, answers, superseded = (
            json.loads(entity.get(name, "[]")) for name in ("top_k", "answers", "superseded")
        )
        return cls._restored(values, predictions, answers, superseded, entity.get("shared", False))

    def to_sidecar(self) -> bytes:
        """The sidecar's JSON, UTF-8."""
        document: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
        for name, value in self._plain().items():
            document[name] = value.isoformat() if isinstance(value, datetime) else value
        predictions = _predictions_json(self.predictions)
        document["top_k"] = json.dumps(predictions, ensure_ascii=False) if predictions else None
        document["predictions"] = predictions
        if self.answers:
            document["answers"] = [
                _answer_json(answer) | {"predictions": _predictions_json(answer.predictions)} for answer in self.answers
            ]
        if self.superseded:
            document["superseded"] = self.superseded
        if self.shared:
            document["shared"] = True
        return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2).encode()

    @classmethod
    def from_sidecar(cls, content: bytes) -> Record:
        """Read a sidecar back.

        Raises:
            ValueError: These bytes are not a sidecar of ours, of this version (whatever is odd about them: they may be
                anybody's).
        """
        try:
            document = json.loads(content)
            values = {name: document[name] for name in _COLUMNS}
            for name in _TIMES:
                values[name] = datetime.fromisoformat(values[name]) if values[name] else None
            lists = (document["predictions"], document.get("answers", ()), document.get("superseded", ()))
            record = cls._restored(values, *lists, document.get("shared", False))
            texts = (record.container, record.blob_name, record.etag, record.model_version)
            ours = document["schema_version"] == SCHEMA_VERSION and all(isinstance(text, str) for text in texts)
            if not ours or record.classified_at.utcoffset() is None:
                raise ValueError("not a sidecar of this version")
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a sidecar: {error}") from error
        return record

    def _plain(self) -> dict[str, Any]:
        """The scalar columns, in their order."""
        return {name: str(self.status) if name == "status" else getattr(self, name) for name in _COLUMNS}

    @classmethod
    def _restored(cls, values: dict[str, Any], predictions: Any, answers: Any, superseded: Any, shared: Any) -> Record:
        values["status"] = Status(values["status"])
        return cls(
            **values,
            predictions=tuple(Prediction(**prediction) for prediction in predictions),
            answers=tuple(_answer(answer) for answer in answers),
            superseded=tuple(keys.RowKeys(*pair) for pair in superseded),
            shared=bool(shared),
        )


_NO_COLUMNS = {"predictions", "answers", "superseded", "shared"}  # each has a form of its own
_COLUMNS = tuple(field.name for field in fields(Record) if field.name not in _NO_COLUMNS)


def same_etag(one: str | None, other: str | None) -> bool:
    """Whether two ETags name the same content; quotes do not count, for events and listings differ in them."""
    return one is not None and other is not None and bare_etag(one) == bare_etag(other)


def bare_etag(etag: str) -> str:
    """An ETag without its quotes."""
    return etag.strip('"')


def _predictions_json(predictions: tuple[Prediction, ...]) -> list[dict[str, Any]]:
    return [{"label": p.label, "label_index": p.label_index, "score": p.score} for p in predictions]


def _answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "model": answer.model.name,
        "model_version": answer.model.version,
        "label": answer.label,
        "label_index": answer.label_index,
        "score": answer.score,
    }


def _answer(written: Mapping[str, Any]) -> Answer:
    predictions = tuple(Prediction(**prediction) for prediction in written.get("predictions", ()))
    model = ModelIdentity(written["model"], written["model_version"])
    return Answer(model, written["label"], written["label_index"], written["score"], predictions)


def _bounded_json(items: Sequence[Any]) -> str:
    """JSON text of a list, or of as many of its first items as a column holds."""
    texts = [json.dumps(item, ensure_ascii=False, allow_nan=False) for item in items]
    units = accumulate((len(text.encode("utf-16-le")) // 2 + len(", ") for text in texts), initial=len("[]"))
    fitting = sum(1 for total in units if total <= MAX_TEXT_UNITS) - 1
    return f"[{', '.join(texts[:fitting])}]"


def _value(value: Any) -> Any:
    """A column as this house writes it: plain ints, aware UTC datetimes of the standard class."""
    if isinstance(value, EntityProperty):
        return value.value
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.time(), UTC)
    return value
