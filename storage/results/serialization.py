"""The two written forms of a record: the entity of the results table and the JSON sidecar.

Both hold the same values under the same names, those of the record's fields. An absent value is left out of the entity
and ``null`` in the sidecar. A flag that is false counts as absent.
"""

from __future__ import annotations

import json
import logging
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from azure.data.tables import EdmType, EntityProperty

from inference.predictions import Answer, ModelIdentity, Prediction
from storage import keys
from storage.results.record import Record, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 2
"""Version 2 added columns to version 1, each of which may be absent, so both are read in the same way."""
MAX_TEXT_UNITS = 32 * 1024
"""A string column holds 64 KiB of UTF-16."""
SUMMARY_COLUMNS = (
    "PartitionKey",
    "RowKey",
    "container",
    "blob_name",
    "status",
    "etag",
    "model",
    "model_version",
    "classified_at",
    "sidecar",
    "label",
    "score",
)
"""The columns that a comparison of blobs and rows reads: which content, which model, when, and with which outcome."""

_TIMES = frozenset({"classified_at", "blob_last_modified"})
_INT32 = 2**31  # the SDK refuses a larger int without a tag; a delay of 25 days in milliseconds is one
_LISTS = frozenset({"predictions", "answers", "superseded"})  # each has a written form of its own
_SCALARS = tuple(field.name for field in fields(Record) if field.name not in _LISTS)
_FLAGS = frozenset(field.name for field in fields(Record) if field.default is False)
_REQUIRED = frozenset(field.name for field in fields(Record) if field.default is MISSING)
_READABLE_VERSIONS = frozenset({1, SCHEMA_VERSION})
_NOT_SHOWN = frozenset({"answers", "superseded", "shared"})

COLUMNS = tuple(
    "top_k" if field.name == "predictions" else field.name for field in fields(Record) if field.name not in _NOT_SHOWN
)
"""The columns that a person asks for, in their order."""


def to_entity(record: Record) -> dict[str, Any]:
    """The entity of the results table."""
    partition_key, row_key = keys.image_keys(record.container, record.blob_name)
    entity: dict[str, Any] = {"PartitionKey": partition_key, "RowKey": row_key}
    for name, value in _scalars(record).items():
        if isinstance(value, int) and value >= _INT32:
            entity[name] = EntityProperty(value, EdmType.INT64)
        elif value is not None:
            entity[name] = value
    if record.predictions:
        entity["top_k"] = _bounded_json(_predictions_json(record.predictions))
    if record.answers:
        entity["answers"] = _bounded_json([_answer_json(answer) for answer in record.answers])
    if record.superseded:
        entity["superseded"] = _bounded_json(record.superseded)
    return entity


def from_entity(entity: Mapping[str, Any]) -> Record:
    """Read an entity that ``to_entity`` made.

    Raises:
        ValueError, TypeError, KeyError: This app did not write it.
    """
    values = {name: _value(entity.get(name)) for name in _SCALARS}
    predictions, answers, superseded = (
        json.loads(entity.get(name, "[]")) for name in ("top_k", "answers", "superseded")
    )
    return _restored(values, predictions, answers, superseded)


def from_any_entity(entity: Mapping[str, Any]) -> Record | None:
    """Read an entity of the results table; ``None``, and a warning, where this app did not write it."""
    try:
        record = from_entity(entity)
        if not (_has_texts(record) and isinstance(record.classified_at, datetime)):
            raise ValueError("a required column is missing")  # noqa: TRY301 - one warning for every defect
    except (ValueError, TypeError, KeyError) as error:
        logger.warning(
            "row_unreadable partition_key=%r row_key=%r error=%s", entity["PartitionKey"], entity["RowKey"], error
        )
        return None
    return record


def to_sidecar(record: Record) -> bytes:
    """The sidecar's JSON, UTF-8."""
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    for name, value in _scalars(record).items():
        document[name] = value.isoformat() if isinstance(value, datetime) else value
    predictions = _predictions_json(record.predictions)
    document["top_k"] = json.dumps(predictions, ensure_ascii=False) if predictions else None
    document["predictions"] = predictions
    if record.answers:
        document["answers"] = [
            _answer_json(answer) | {"predictions": _predictions_json(answer.predictions)} for answer in record.answers
        ]
    if record.superseded:
        document["superseded"] = record.superseded
    if not record.shared:
        del document["shared"]
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2).encode()


def from_sidecar(content: bytes) -> Record:
    """Read a sidecar.

    Raises:
        ValueError: These bytes are not a sidecar of a version that is read. They may come from anywhere, so every
            defect raises this one class.
    """
    try:
        document = json.loads(content)
        values = {name: document[name] if name in _REQUIRED else document.get(name) for name in _SCALARS}
        for name in _TIMES:
            values[name] = datetime.fromisoformat(values[name]) if values[name] else None
        lists = (document["predictions"], document.get("answers", ()), document.get("superseded", ()))
        record = _restored(values, *lists)
        ours = document["schema_version"] in _READABLE_VERSIONS and _has_texts(record)
        if not ours or record.classified_at.utcoffset() is None:
            raise ValueError("not a sidecar of a version that is read")
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a sidecar: {error}") from error
    return record


def is_sidecar(blob_name: str, content: bytes) -> bool:
    """Whether a blob of the incoming container is a sidecar that was copied there."""
    if not blob_name.endswith(".json") or not content.startswith(b"{"):
        return False
    try:
        from_sidecar(content)
    except ValueError:
        return False
    return True


def _has_texts(record: Record) -> bool:
    texts = (record.container, record.blob_name, record.etag, record.model_version)
    return all(isinstance(text, str) for text in texts)


def _scalars(record: Record) -> dict[str, Any]:
    """The columns that hold one value each, in their order; ``None`` for a flag that is false."""
    values = {name: getattr(record, name) for name in _SCALARS}
    values |= {name: values[name] or None for name in _FLAGS}
    return values | {"status": str(record.status)}


def _restored(values: dict[str, Any], predictions: Any, answers: Any, superseded: Any) -> Record:
    values |= {"status": Status(values["status"])} | {name: bool(values[name]) for name in _FLAGS}
    return Record(
        # An absent value takes the field's default, so that a column without one is still refused where it is missing.
        **{name: value for name, value in values.items() if value is not None},
        predictions=tuple(Prediction(**prediction) for prediction in predictions),
        answers=tuple(_answer(answer) for answer in answers),
        superseded=tuple(keys.RowKeys(*pair) for pair in superseded),
    )


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
    """A column's value in standard classes: plain ints, aware UTC datetimes."""
    if isinstance(value, EntityProperty):
        return value.value
    if isinstance(value, datetime):
        return datetime.combine(value.date(), value.time(), UTC)
    return value
