"""Classifies one image: reads it, classifies the bytes, commits the outcome. Every trigger and every tool uses this.

The outcome describes the current content of the blob, which may be newer than the event: already done, classified,
rejected, deleted or superseded. Every other failure is raised, so that the host delivers the message again.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from inference.errors import PermanentError
from inference.predictions import ModelIdentity
from storage.blobs import TooLargeError, UnreadBlobError
from storage.pipeline.decision import decided
from storage.pipeline.outcome import Finished, Outcome, Timings, log_finished
from storage.results.commit import commit, finish_interrupted, is_done, remove_superseded
from storage.results.record import Record, Status
from storage.results.serialization import is_sidecar

if TYPE_CHECKING:
    from datetime import datetime

    from inference.predictions import Answer, Classification, ImageClassifier
    from storage.blobs import SourceBlob, SourceInfo
    from storage.pipeline.stores import Stores
    from storage.results.record import Image

_NO_MODEL = ModelIdentity("", "")  # of a record about an image that no model has seen


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
    tag_count: int | None = None
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
        except (TooLargeError, UnreadBlobError) as error:
            record = delivery.without_content(error, model)
        else:
            if blob is None:
                if existing:
                    remove_superseded(stores.results, existing)
                    stores.actions.after_duplicate(stores.results, row)
                return delivery.finished(Outcome.DUPLICATE, existing)
            if blob.is_directory or is_sidecar(image.blob_name, blob.content):
                return delivery.finished(Outcome.IGNORED)
            try:
                classification = classifier.classify(blob.content)
            except PermanentError as error:
                record = _rejected(delivery.record(blob.info, Status.REJECTED, model), error)
                facts = error.image.capture if error.image else None
            else:
                delivery.timings.decode_ms = classification.decode_ms
                delivery.timings.inference_ms = classification.inference_ms
                shadow = delivery.shadow(blob, model)
                record = delivery.record(blob.info, Status.CLASSIFIED, classification.model)
                record = _classified(record, classification, shadow, keep_scores=stores.keep_scores)
                facts = classification.image.capture
            record = replace(record, md5_mismatch=blob.md5_mismatch, content_md5=blob.content_md5)
            record = stores.capture.add(record, facts)
            tag_count = blob.tag_count
            delivery.impossible_time = facts.impossible_time if facts else None
            del blob
    with delivery.timings.measure("write_ms"):
        committed = commit(
            stores.results,
            stores.source,
            record,
            row,
            redo_before=redo_before,
            is_current_model=stores.is_current_model,
            notifier=stores.actions.notifications,
        )
    if committed is None:
        return delivery.finished(Outcome.SUPERSEDED)
    kept_other = committed.model_version != record.model_version
    finished = delivery.finished(Outcome.DUPLICATE if kept_other else Outcome.COMMITTED, committed)
    stores.actions.after_commit(stores.results, committed, tag_count=tag_count)
    return finished


def _classified(record: Record, classification: Classification, shadow: Answer | None, *, keep_scores: bool) -> Record:
    """The record with what the model, the rules for its label, and a candidate on trial contribute."""
    image, scores, decision = classification.image, classification.scores, classification.decision
    record = replace(
        record,
        label=classification.label,
        label_index=classification.label_index,
        score=classification.score,
        predictions=classification.predictions,
        answers=classification.answers,
        shadow=shadow,
        scores=scores if keep_scores else None,
        width=image.width,
        height=image.height,
        format=image.format,
        damaged=classification.decoded_fraction is not None,
        decoded_fraction=classification.decoded_fraction,
        phash=classification.phash,
        color_profile=image.color_profile,
    )
    return decided(record, decision, scores) if decision and scores else record


def _rejected(record: Record, error: PermanentError) -> Record:
    """The record with what a refusal contributes."""
    image = error.image
    return replace(
        record,
        reason=str(error.reason),
        detail=error.detail,
        width=image.width if image else None,
        height=image.height if image else None,
        format=image.format if image else None,
        color_profile=image.color_profile if image else None,
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
        self.impossible_time: str | None = None

    def record(self, info: SourceInfo, status: Status, model: ModelIdentity) -> Record:
        """What every record says of this delivery, for the content that ``info`` describes."""
        return Record(
            container=self._image.container,
            blob_name=self._image.blob_name,
            status=status,
            etag=info.etag,
            model=model.name,
            model_version=model.version,
            classified_at=self._stores.now(),
            sidecar=self._stores.results.sidecar_path(self._image),
            blob_last_modified=info.last_modified,
            content_length=info.content_length,
            # Last-Modified has one-second grain and comes from another clock: never report a negative delay.
            queue_delay_ms=max(0, round((self._arrived - info.last_modified).total_seconds() * 1000)),
            duration_ms=round(self._elapsed_ms()),
        )

    def shadow(self, blob: SourceBlob, model: ModelIdentity) -> Answer | None:
        """The answer of a candidate on trial, where there is one and it is asked about this content."""
        candidate = self._stores.shadow
        if candidate is None or not candidate.chooses(self._image, blob.info.etag):
            return None
        with self.timings.measure("shadow_ms"):
            return candidate.answer(self._image, blob.content, model)

    def without_content(self, error: TooLargeError | UnreadBlobError, model: ModelIdentity) -> Record:
        """The record of a blob whose bytes were not read."""
        if isinstance(error, TooLargeError):
            return _rejected(self.record(error.info, Status.REJECTED, model), error)
        record = self.record(error.info, Status.FAILED, _NO_MODEL)
        return replace(record, reason=str(error.refusal.reason), detail=error.refusal.detail)

    def finished(self, outcome: Outcome, record: Record | None = None) -> Finished:
        """Log the outcome and return it."""
        finished = Finished(outcome, record)
        log_finished(
            self._image,
            self._attempt,
            finished,
            self.timings,
            self._elapsed_ms(),
            impossible_time=self.impossible_time,
        )
        return finished

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000
