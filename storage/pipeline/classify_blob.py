"""Settle one image: read it, have it judged, commit the outcome. Every trigger and every tool comes through here.

What comes out is the truth about the blob as it is now, whatever event asked: done already, classified, rejected, gone
or superseded. Anything else is raised, for the host to deliver again.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from inference.errors import PermanentError
from storage.blobs import SourceBlobs, SourceInfo, TooLargeError
from storage.results.commit import clean_up_after_races, commit, finish, is_done
from storage.results.record import Image, Record, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inference.predictions import ImageClassifier, ModelIdentity
    from storage.results.store import Results

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How the work on one delivery ended."""

    COMMITTED = "committed"  # a row was written
    DUPLICATE = "duplicate"  # the row was already there
    GONE = "gone"  # the blob was deleted
    SUPERSEDED = "superseded"  # the blob was overwritten meanwhile; its own event settles it
    IGNORED = "ignored"  # not an upload: one of our sidecars, copied into the incoming container


@dataclass(frozen=True, slots=True)
class Finished:
    """The ending of one delivery, and the record that stands, where there is one."""

    outcome: Outcome
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Stores:
    """What settling needs: the one set of clients, kept for the life of the process. Thread-safe.

    Attributes:
        source: Reads images.
        results: Keeps outcomes.
        admit: Reserves memory for that many downloaded bytes until its context ends; may block.
        now: The clock; aware UTC.
    """

    source: SourceBlobs
    results: Results
    admit: Callable[[int], AbstractContextManager[Any]] = lambda _length: nullcontext()
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def classify_blob(
    stores: Stores, classifier: ImageClassifier, image: Image, *, redo_before: datetime | None = None, attempt: int = 0
) -> Finished:
    """Settle one image, and log one line about it.

    Args:
        stores: Where images and outcomes are.
        classifier: Judges the bytes.
        image: Which image.
        redo_before: Outcomes older than this do not count as done; aware UTC.
        attempt: How many delayed tries there were before this one, for the log.

    Raises:
        TransientError: The world is at fault; try again later.
        ConfigurationError: The deployment is at fault.
    """
    started = time.perf_counter()
    arrived = stores.now()
    stages: dict[str, float] = {}
    told = partial(_told, image, attempt, stages, started)
    model = classifier.model
    row = stores.results.read_row(image)
    standing = row.record if row else None
    done = standing is not None and is_done(standing, standing.etag, model.version, redo_before)
    with ExitStack() as held:
        try:
            with _timed(stages, "read_ms"):
                blob = stores.source.read(
                    image,
                    unless_etag=standing.etag if standing and done else None,
                    on_length=lambda length: held.enter_context(stores.admit(length)),
                )
        except FileNotFoundError:
            finish(stores.results, image, row)
            return told(Finished(Outcome.GONE))
        except TooLargeError as error:
            record = _Judgement(image, error.info, arrived, started).rejected(stores, error, model)
        else:
            if blob is None:
                if standing:
                    clean_up_after_races(stores.results, standing)
                return told(Finished(Outcome.DUPLICATE, standing))
            if is_sidecar(image, blob.content):
                return told(Finished(Outcome.IGNORED))
            judgement = _Judgement(image, blob.info, arrived, started)
            try:
                record = judgement.classified(stores, classifier, blob.content, stages)
            except PermanentError as error:
                record = judgement.rejected(stores, error, model)
            del blob
    with _timed(stages, "write_ms"):
        stood = commit(stores.results, stores.source, record, row, redo_before=redo_before)
    outcome = Outcome.COMMITTED if stood is not None else Outcome.SUPERSEDED
    return told(Finished(outcome, stood))


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What is known of one content before it is judged; turns a verdict into a record."""

    image: Image
    info: SourceInfo
    arrived: datetime
    started: float

    def classified(
        self, stores: Stores, classifier: ImageClassifier, content: bytes, stages: dict[str, float]
    ) -> Record:
        answer = classifier.classify(content)
        stages["decode_ms"] = answer.decode_ms
        stages["inference_ms"] = answer.inference_ms
        return self._record(
            stores,
            answer.model,
            status=Status.CLASSIFIED,
            label=answer.label,
            label_index=answer.label_index,
            score=answer.score,
            predictions=answer.predictions,
            answers=answer.answers,
            width=answer.image.width,
            height=answer.image.height,
            format=answer.image.format,
        )

    def rejected(self, stores: Stores, error: PermanentError, model: ModelIdentity) -> Record:
        known = error.image
        return self._record(
            stores,
            model,
            status=Status.REJECTED,
            reason=str(error.reason),
            detail=error.detail,
            width=known.width if known else None,
            height=known.height if known else None,
            format=known.format if known else None,
        )

    def _record(self, stores: Stores, model: ModelIdentity, **verdict: Any) -> Record:
        return Record(
            container=self.image.container,
            blob_name=self.image.blob_name,
            etag=self.info.etag,
            model=model.name,
            model_version=model.version,
            classified_at=stores.now(),
            sidecar=stores.results.sidecar_path(self.image),
            blob_last_modified=self.info.last_modified,
            content_length=self.info.content_length,
            # Last-Modified is cut to seconds and may come from another clock: never report a negative delay.
            queue_delay_ms=max(0, round((self.arrived - self.info.last_modified).total_seconds() * 1000)),
            duration_ms=round((time.perf_counter() - self.started) * 1000),
            **verdict,
        )


def is_sidecar(image: Image, content: bytes) -> bool:
    """Whether a blob is one of our own sidecars, copied to where images are expected."""
    if not image.blob_name.endswith(".json") or not content.startswith(b"{"):
        return False
    try:
        Record.from_sidecar(content)
    except ValueError:
        return False
    return True


@contextmanager
def _timed(stages: dict[str, float], name: str) -> Iterator[None]:
    """Add the block's milliseconds to the stages, however it ends."""
    started = time.perf_counter()
    try:
        yield
    finally:
        stages[name] = (time.perf_counter() - started) * 1000


def _told(image: Image, attempt: int, stages: dict[str, float], started: float, settled: Finished) -> Finished:
    """Log the one line per image that a person can grep: event name first, then key=value, text as JSON strings."""
    record = settled.record
    told: dict[str, Any] = {"image": json.dumps(str(image)), "outcome": settled.outcome}
    if record is not None:
        told["status"] = record.status
        if record.status is Status.CLASSIFIED:
            told |= {"label": json.dumps(record.label), "score": f"{record.score:.4f}"}
        else:
            told |= {"reason": record.reason, "detail": json.dumps(record.detail)}
        told |= {"model": json.dumps(record.model), "model_version": record.model_version}
    told["attempt"] = attempt
    if record is not None and settled.outcome is Outcome.COMMITTED:
        told["queue_delay_ms"] = record.queue_delay_ms
    told |= {name: f"{milliseconds:.1f}" for name, milliseconds in stages.items()}
    told["total_ms"] = f"{(time.perf_counter() - started) * 1000:.1f}"
    bad_news = settled.outcome is Outcome.COMMITTED and record is not None and record.status is not Status.CLASSIFIED
    level = logging.WARNING if bad_news else logging.INFO
    logger.log(level, "image_finished %s", " ".join(f"{key}={value}" for key, value in told.items()))
    return settled
