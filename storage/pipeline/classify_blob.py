"""Classifies one image: reads it, classifies the bytes, commits the outcome. Every trigger and every tool uses this.

The outcome describes the current content of the blob, which may be newer than the event: already done, classified,
rejected, deleted or superseded. Every other failure is raised, so that the host delivers the message again.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.errors import PermanentError
from storage.blobs import TooLargeError
from storage.pipeline.outcome import Finished, Outcome, Timings, log_finished
from storage.results.commit import commit, finish_interrupted, is_done, remove_superseded
from storage.results.record import Record, Status
from storage.results.serialization import is_sidecar

if TYPE_CHECKING:
    from datetime import datetime

    from inference.predictions import Answer, Classification, ImageClassifier, ModelIdentity, Prediction
    from storage.blobs import SourceInfo
    from storage.pipeline.stores import Stores
    from storage.results.record import Image


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


class _Delivery:
    """One delivery of one image, from its arrival to its log line."""

    def __init__(self, stores: Stores, image: Image, attempt: int) -> None:
        self._stores = stores
        self._image = image
        self._attempt = attempt
        self._arrived = stores.now()
        self._started = time.perf_counter()
        self.timings = Timings()

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
