"""The two written forms of a record: the entity of the results table and the JSON sidecar.

Both hold the same values under the same names, those of the record's fields; only the sidecar holds the scores of all
labels. An absent value is left out of the entity
and ``null`` in the sidecar. A flag that is false counts as absent.
"""

from __future__ import annotations

import json
import logging
import math
import re
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from azure.data.tables import EdmType, EntityProperty

from inference.predictions import Answer, ModelIdentity, Prediction
from storage import keys
from storage.results import score_vector
from storage.results.record import Record, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 2
"""Version 2 added columns to version 1, each of which may be absent, so both are read in the same way."""
MAX_TEXT_UNITS = 32 * 1024
"""A string column holds 64 KiB of UTF-16."""
MAX_SIDECAR_BYTES = 1024 * 1024
"""An upload with more bytes is no copied sidecar: a thousand predictions with long labels take less."""
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
_OWN_FORMS = frozenset({"predictions", "scores", "answers", "shadow", "superseded"})
_ROW_ONLY = frozenset({"notify_due"})  # changes while the result, and so the sidecar, stays
_SCALARS = tuple(field.name for field in fields(Record) if field.name not in _OWN_FORMS)
_FLAGS = frozenset(field.name for field in fields(Record) if field.default is False)
_REQUIRED = frozenset(field.name for field in fields(Record) if field.default is MISSING)
_KINDS = {field.name: str(field.type).removesuffix(" | None") for field in fields(Record)}
_INT64 = 2**63
_SIDECAR_START = re.compile(rb'\{\s*"schema_version"\s*:')  # as ``to_sidecar`` begins
# What values of unexpected types raise while they are read.
_DEFECTS = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
_READABLE_VERSIONS = frozenset({1, SCHEMA_VERSION})
_NOT_SHOWN = frozenset({"scores", "answers", "shadow", "superseded", "shared", "notify_due"})

COLUMNS = tuple(
    "top_k" if field.name == "predictions" else field.name for field in fields(Record) if field.name not in _NOT_SHOWN
)
"""The columns that a person asks for, in their order."""
COLUMN_KINDS: Mapping[str, str] = {name: _KINDS.get(name, "str") for name in COLUMNS}
"""The kind of each: ``str``, ``int``, ``float``, ``bool``, ``datetime`` or ``Status``."""


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
    if record.shadow and (text := _bounded_json([_answer_json(record.shadow)])) != "[]":
        entity["shadow"] = text[1:-1]
    if record.superseded:
        entity["superseded"] = _bounded_json(record.superseded)
    return entity


def from_entity(entity: Mapping[str, Any]) -> Record:
    """Read an entity that ``to_entity`` made, or some of its columns.

    Raises:
        ValueError: This app did not write it, or a person edited it. Every defect raises this one class.
    """
    try:
        values = {name: _value(entity.get(name)) for name in _SCALARS}
        lists = (json.loads(entity.get(name, "[]")) for name in ("top_k", "answers", "superseded"))
        record = _restored(values, *lists, shadow=json.loads(entity.get("shadow", "null")))
        address = keys.image_keys(record.container, record.blob_name)
    except _DEFECTS as error:
        raise ValueError(f"not a row of this app: {error}") from error
    if address != (entity["PartitionKey"], entity["RowKey"]):
        raise ValueError("not a row of this app: its keys are those of another image")
    return record


def from_any_entity(entity: Mapping[str, Any]) -> Record | None:
    """Read an entity of the results table; ``None``, and a warning, where ``from_entity`` refuses it."""
    try:
        return from_entity(entity)
    except ValueError as error:
        logger.warning(
            "row_unreadable partition_key=%r row_key=%r error=%s", entity["PartitionKey"], entity["RowKey"], error
        )
        return None


def column_values(record: Record) -> dict[str, Any]:
    """The values of ``COLUMNS``, in their order: texts, numbers and aware datetimes; ``None`` where absent.

    They are those of the sidecar, but for times, which the sidecar writes as ISO 8601.
    """
    scalars = _scalars(record)
    predictions = _predictions_json(record.predictions)
    top_k = json.dumps(predictions, ensure_ascii=False) if predictions else None
    return {name: top_k if name == "top_k" else scalars[name] for name in COLUMNS}


def to_sidecar(record: Record) -> bytes:
    """The sidecar's JSON, UTF-8."""
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    for name, value in _scalars(record).items():
        document[name] = value.isoformat() if isinstance(value, datetime) else value
    predictions = _predictions_json(record.predictions)
    document["top_k"] = json.dumps(predictions, ensure_ascii=False) if predictions else None
    document["predictions"] = predictions
    if record.answers:
        document["answers"] = [_full_answer_json(answer) for answer in record.answers]
    if record.shadow:
        document["shadow"] = _full_answer_json(record.shadow)
    if record.superseded:
        document["superseded"] = record.superseded
    if not record.shared:
        del document["shared"]
    for name in _ROW_ONLY:
        del document[name]
    if scores := score_vector.to_json(record.scores):
        document["scores"] = scores
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2).encode()


def from_sidecar(content: bytes) -> Record:
    """Read a sidecar.

    Raises:
        ValueError: These bytes are not a sidecar of a version that is read. They may come from anywhere, so every
            defect raises this one class.
    """
    try:
        document = json.loads(content)
        names = [name for name in _SCALARS if name not in _ROW_ONLY]
        values = {name: document[name] if name in _REQUIRED else document.get(name) for name in names}
        for name in _TIMES:
            values[name] = datetime.fromisoformat(values[name]) if values[name] else None
        lists = (document["predictions"], document.get("answers", ()), document.get("superseded", ()))
        restored = _restored(values, *lists, shadow=document.get("shadow"))
        record = replace(restored, scores=score_vector.from_json(document.get("scores")))
        version = document["schema_version"]
    except _DEFECTS as error:
        raise ValueError(f"not a sidecar: {error}") from error
    if isinstance(version, bool) or version not in _READABLE_VERSIONS:
        raise ValueError("not a sidecar of a version that is read")
    return record


def is_sidecar(blob_name: str, content: bytes) -> bool:
    """Whether a blob of the incoming container is a sidecar that was copied there.

    Such a blob may hold anything, so it is only read where it is of a sidecar's size and begins as one does.
    """
    if not blob_name.endswith(".json") or len(content) > MAX_SIDECAR_BYTES or not _SIDECAR_START.match(content):
        return False
    try:
        from_sidecar(content)
    except ValueError:
        return False
    return True


def _scalars(record: Record) -> dict[str, Any]:
    """The columns that hold one value each, in their order; ``None`` for a flag that is false."""
    values = {name: getattr(record, name) for name in _SCALARS}
    values |= {name: values[name] or None for name in _FLAGS}
    return values | {"status": str(record.status)}


def _restored(values: dict[str, Any], predictions: Any, answers: Any, superseded: Any, *, shadow: Any) -> Record:
    """Build a record from written values, each of which is checked.

    Raises:
        ValueError, TypeError, KeyError: A value is missing, or is not of its column's kind.
    """
    given = {name: _checked(name, value) for name, value in values.items() if value is not None}
    return Record(
        # An absent value takes the field's default, so that a column without one is still refused where it is missing.
        **given,
        predictions=tuple(map(_prediction, predictions)),
        answers=tuple(map(_answer, answers)),
        shadow=None if shadow is None else _answer(shadow),
        superseded=tuple(keys.RowKeys(_text(partition), _text(row)) for partition, row in superseded),
    )


def _checked(name: str, value: Any) -> Any:
    """A column's value, if it is of the column's kind."""
    kind = _KINDS[name]
    if kind == "Status":
        return Status(value)
    if kind == "datetime":
        if not isinstance(value, datetime) or value.utcoffset() is None:
            raise ValueError(f"{name} is no time with a time zone")
        return value
    return _CHECKS[kind](value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text was expected")
    value.encode()  # a lone surrogate cannot be written again
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= _INT64:
        raise ValueError("no whole number of 64 bits where one was expected")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("no finite number where one was expected")
    return float(value)


_CHECKS: Mapping[str, Callable[[Any], Any]] = {"str": _text, "int": _whole, "float": _number, "bool": bool}


def _prediction(written: Mapping[str, Any]) -> Prediction:
    return Prediction(_text(written["label"]), _whole(written["label_index"]), _number(written["score"]))


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


def _full_answer_json(answer: Answer) -> dict[str, Any]:
    return _answer_json(answer) | {"predictions": _predictions_json(answer.predictions)}


def _answer(written: Mapping[str, Any]) -> Answer:
    model = ModelIdentity(_text(written["model"]), _text(written["model_version"]))
    index = written["label_index"]
    return Answer(
        model,
        _text(written["label"]),
        None if index is None else _whole(index),
        _number(written["score"]),
        tuple(map(_prediction, written.get("predictions", ()))),
    )


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
