"""Classifies one image: reads it, classifies the bytes, commits the outcome. Every trigger and every tool uses this.

The outcome describes the current content of the blob, which may be newer than the event: already done, classified,
rejected, deleted or superseded. Every other failure is raised, so that the host delivers the message again.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from inference.errors import PermanentError
from storage.blobs import TooLargeError
from storage.results.commit import commit, finish_interrupted, is_done, remove_superseded
from storage.results.record import Record, Status
from storage.results.serialization import is_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from inference.predictions import Answer, Classification, ImageClassifier, ModelIdentity, Prediction
    from storage.blobs import SourceInfo
    from storage.pipeline.stores import Stores
    from storage.results.record import Image

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """The outcome of one delivery."""

    COMMITTED = "committed"  # a row was written
    DUPLICATE = "duplicate"  # the row was already there
    GONE = "gone"  # the blob was deleted
    SUPERSEDED = "superseded"  # the blob was overwritten meanwhile; its own event classifies it
    IGNORED = "ignored"  # not an upload: a sidecar that was copied into the incoming container


@dataclass(frozen=True, slots=True)
class Finished:
    """The outcome of one delivery, and the committed record where there is one."""

    outcome: Outcome
    record: Record | None = None


def classify_blob(
    stores: Stores, classifier: ImageClassifier, image: Image, *, redo_before: datetime | None = None, attempt: int = 0
) -> Finished:
    """Classify one image, commit the outcome, and log one line about it. Thread-safe.

    Args:
        stores: Where images and outcomes are.
        classifier: ImageClassifier the bytes.
        image: The image.
        redo_before: Outcomes older than this do not count as done; aware UTC.
        attempt: How many delayed attempts there were before this one, for the log.

    Raises:
        TransientError: Storage failed for now; try again later.
        ConfigurationError: Storage refused the request, or the model cannot be used.
    """
    delivery = _Delivery(stores, image, attempt)
    model = classifier.model
    row = stores.results.read_row(image)
    existing = row.record if row else None
    done = existing is not None and is_done(existing, existing.etag, model.version, redo_before)
    with ExitStack() as reserved:
        try:
            with delivery.timings.measure("read_ms"):
                blob = stores.source.read(
                    image,
                    unless_etag=existing.etag if existing and done else None,
                    on_length=lambda length: reserved.enter_context(stores.admit(length)),
                )
        except FileNotFoundError:
            finish_interrupted(stores.results, image, row)
            return delivery.finished(Outcome.GONE)
        except TooLargeError as error:
            record = delivery.record(error.info, _rejected(error, model))
        else:
            if blob is None:
                if existing:
                    remove_superseded(stores.results, existing)
                return delivery.finished(Outcome.DUPLICATE, existing)
            if is_sidecar(image.blob_name, blob.content):
                return delivery.finished(Outcome.IGNORED)
            try:
                classification = classifier.classify(blob.content)
            except PermanentError as error:
                record = delivery.record(blob.info, _rejected(error, model))
            else:
                delivery.timings.decode_ms = classification.decode_ms
                delivery.timings.inference_ms = classification.inference_ms
                record = delivery.record(blob.info, _classified(classification))
            del blob
    with delivery.timings.measure("write_ms"):
        committed = commit(stores.results, stores.source, record, row, redo_before=redo_before)
    return delivery.finished(Outcome.COMMITTED if committed else Outcome.SUPERSEDED, committed)


@dataclass(frozen=True, slots=True)
class _Result:
    """What the model, or its refusal, contributes to a record. The attributes are those of ``Record``."""

    model: ModelIdentity
    status: Status
    label: str | None = None
    label_index: int | None = None
    score: float | None = None
    predictions: tuple[Prediction, ...] = ()
    answers: tuple[Answer, ...] = ()
    reason: str | None = None
    detail: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None


def _classified(classification: Classification) -> _Result:
    return _Result(
        classification.model,
        Status.CLASSIFIED,
        label=classification.label,
        label_index=classification.label_index,
        score=classification.score,
        predictions=classification.predictions,
        answers=classification.answers,
        width=classification.image.width,
        height=classification.image.height,
        format=classification.image.format,
    )


def _rejected(error: PermanentError, model: ModelIdentity) -> _Result:
    image = error.image
    return _Result(
        model,
        Status.REJECTED,
        reason=str(error.reason),
        detail=error.detail,
        width=image.width if image else None,
        height=image.height if image else None,
        format=image.format if image else None,
    )


@dataclass(slots=True)
class _Timings:
    """Durations of a delivery's stages, in milliseconds; ``None`` for a stage that did not run."""

    read_ms: float | None = None
    decode_ms: float | None = None
    inference_ms: float | None = None
    write_ms: float | None = None

    @contextmanager
    def measure(self, stage: Literal["read_ms", "write_ms"]) -> Iterator[None]:
        """Measure the block, also when it raises."""
        started = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, stage, (time.perf_counter() - started) * 1000)


class _Delivery:
    """One delivery of one image, from its arrival to its log line."""

    def __init__(self, stores: Stores, image: Image, attempt: int) -> None:
        self._stores = stores
        self._image = image
        self._attempt = attempt
        self._arrived = stores.now()
        self._started = time.perf_counter()
        self.timings = _Timings()

    def record(self, info: SourceInfo, result: _Result) -> Record:
        """The record of a result for the content that ``info`` describes."""
        return Record(
            container=self._image.container,
            blob_name=self._image.blob_name,
            status=result.status,
            etag=info.etag,
            model=result.model.name,
            model_version=result.model.version,
            classified_at=self._stores.now(),
            sidecar=self._stores.results.sidecar_path(self._image),
            label=result.label,
            label_index=result.label_index,
            score=result.score,
            predictions=result.predictions,
            answers=result.answers,
            reason=result.reason,
            detail=result.detail,
            blob_last_modified=info.last_modified,
            content_length=info.content_length,
            width=result.width,
            height=result.height,
            format=result.format,
            # Last-Modified has one-second grain and comes from another clock: never report a negative delay.
            queue_delay_ms=max(0, round((self._arrived - info.last_modified).total_seconds() * 1000)),
            duration_ms=round(self._elapsed_ms()),
        )

    def finished(self, outcome: Outcome, record: Record | None = None) -> Finished:
        """Log the outcome and return it."""
        finished = Finished(outcome, record)
        log_finished(self._image, self._attempt, finished, self.timings, self._elapsed_ms())
        return finished

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000


def log_finished(image: Image, attempt: int, finished: Finished, timings: _Timings, total_ms: float) -> None:
    """Log the one line per delivery: the event name, then key=value, where text from outside is a JSON string."""
    outcome, record = finished.outcome, finished.record
    values: dict[str, object] = {"image": json.dumps(str(image)), "outcome": outcome}
    if record is not None:
        values["status"] = record.status
        if record.status is Status.CLASSIFIED:
            values |= {"label": json.dumps(record.label), "score": f"{record.score:.4f}"}
        else:
            values |= {"reason": record.reason, "detail": json.dumps(record.detail)}
        values |= {"model": json.dumps(record.model), "model_version": record.model_version}
    values["attempt"] = attempt
    if record is not None and outcome is Outcome.COMMITTED:
        values["queue_delay_ms"] = record.queue_delay_ms
    stages = ("read_ms", timings.read_ms), ("decode_ms", timings.decode_ms), ("inference_ms", timings.inference_ms)
    for stage, duration_ms in (*stages, ("write_ms", timings.write_ms), ("total_ms", total_ms)):
        if duration_ms is not None:
            values[stage] = f"{duration_ms:.1f}"
    refused = outcome is Outcome.COMMITTED and record is not None and record.status is not Status.CLASSIFIED
    level = logging.WARNING if refused else logging.INFO
    logger.log(level, "image_finished %s", " ".join(f"{key}={value}" for key, value in values.items()))
