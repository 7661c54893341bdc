"""Classifies images on many threads: reads ahead, decodes and infers on every usable CPU, and writes in groups.

    images ──> [ slot ]  reading ──> waiting ──> [ CPU ]  decoding, inferring ──> writing: sidecar, index, row
               4 per CPU                         1 per CPU                        all other threads

Each thread takes one image from start to end through ``storage.pipeline.classify_blob``, so every guarantee is the
app's own, also while the app works on the same container. Most threads wait for their writes, which are grouped
(``storage.results.transactions``); they hold no image bytes.
"""

from __future__ import annotations

import json
import logging
import random
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from inference.errors import ClassificationError, TransientError
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.outcome import Finished, Outcome
from storage.pipeline.retries import give_up
from storage.results.record import Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from types import TracebackType

    from inference.predictions import Classification, ImageClassifier, ModelIdentity
    from storage.pipeline.stores import Stores
    from storage.results.record import Image
    from storage.results.transactions import BatchedResults

logger = logging.getLogger(__name__)

_SLOTS_PER_CPU = 4  # images that are read or held, per CPU: covers the latency of storage with little memory
_WRITING = 96  # threads besides those with slots: about as many images fit into one transaction

# Between attempts at one image, besides the client's own three (about 9 s): bridges an outage of a minute and a half.
DELAYS_SECONDS = (2.0, 15.0, 45.0)


@dataclass(frozen=True, slots=True)
class GivenUp:
    """An image whose attempts all failed.

    Attributes:
        error: The message of the last error.
        is_recorded: Whether its row has status ``failed``. If not, storage refused the write or has an earlier result.
    """

    error: str
    is_recorded: bool


@dataclass
class Pipeline:
    """Classifies images. Thread-safe, for up to ``threads`` threads.

    Attributes:
        stores: Images, and the memory admission for them.
        results: Where results are written, in groups.
        classifier: Classifies bytes.
        cpus: How many images are decoded and inferred at the same time.
        stopping: Set to begin no more images.
        redo_before: Only results from this time on count as done; aware UTC.
        threads: How many threads keep every stage busy.
    """

    stores: Stores
    results: BatchedResults
    classifier: ImageClassifier
    cpus: int
    stopping: threading.Event = field(default_factory=threading.Event)
    redo_before: datetime | None = None

    def __post_init__(self) -> None:
        """Create the limits of the stages."""
        self.stores = replace(self.stores, results=self.results)
        self._slots = self.cpus * _SLOTS_PER_CPU
        self.threads = self._slots + _WRITING
        self.cpu = threading.Semaphore(self.cpus)
        self.slot = threading.Semaphore(self._slots)
        self._lock = threading.Lock()
        self._images = dict.fromkeys(("read", "decode", "write"), 0)
        self._spent_ms = {"decode": 0.0, "infer": 0.0}

    def classify(self, image: Image, *, is_new: bool = False) -> Finished | GivenUp | None:
        """Classify one image, with several attempts.

        Args:
            image: Which image.
            is_new: Whether the table, just listed, had no row of it.

        Returns:
            ``None`` if the pipeline was stopped between two attempts: the state of the image is not known then.

        Raises:
            ConfigurationError: The deployment is at fault.
        """
        if is_new:
            self.results.expect_no_row(image)
        error = TransientError("Other uploads overwrote it at every attempt to read it.")
        for delay in (*DELAYS_SECONDS, None):
            try:
                finished = self._attempt(image)
            except TransientError as raised:
                error = raised
            else:
                # The app may not have received an event for the newer content: the next attempt classifies it.
                if finished.outcome is not Outcome.SUPERSEDED:
                    return finished
            if delay is not None and self.stopping.wait(delay * random.uniform(0.5, 1.5)):
                return None
        try:
            record = give_up(self.stores, image, str(error))
        except TransientError as again:
            return GivenUp(str(again), is_recorded=False)
        if record is None:
            return Finished(Outcome.GONE)
        return GivenUp(str(error), is_recorded=record.status is Status.FAILED)

    def _attempt(self, image: Image) -> Finished:
        try:
            with self.results.participating(), _Slot(self) as slot:
                stores = replace(self.stores, admit=slot.admit)
                return classify_blob(stores, slot, image, redo_before=self.redo_before)
        except ClassificationError:
            raise
        except Exception as error:  # an error without a class is a fault of this app, met by this image alone
            logger.exception("image_attempt_failed image=%s", json.dumps(str(image)))
            raise TransientError(f"An unexpected {type(error).__name__} ended the attempt.") from error

    def slowest_stage(self) -> str:
        """Return the stage that most images wait for: ``list``, ``read``, ``decode``, ``infer`` or ``write``."""
        with self._lock:
            images, spent = dict(self._images), dict(self._spent_ms)
        held = images["read"] + images["decode"]
        if held < self._slots:
            return "list" if sum(images.values()) < self.threads // 2 else "write"
        if images["read"] > images["decode"]:
            return "read"
        return max(spent, key=lambda stage: spent[stage])

    def move(self, stage: str | None, to: str | None) -> None:
        """Count an image that goes from one stage to another."""
        with self._lock:
            if stage:
                self._images[stage] -= 1
            if to:
                self._images[to] += 1

    def add_time(self, answer: Classification) -> None:
        """Add the time that one image took."""
        with self._lock:
            self._spent_ms["decode"] += answer.decode_ms
            self._spent_ms["infer"] += answer.inference_ms


class _Slot:
    """The right to hold one image's bytes, and the classifier of that image. Freed with the bytes."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._stage: str | None = None

    def __enter__(self) -> Self:
        self._pipeline.slot.acquire()
        self._move("read")
        return self

    def __exit__(self, _kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._free()
        self._move(None)

    @contextmanager
    def admit(self, length: int) -> Iterator[None]:
        """Reserve memory for the bytes; free the slot when they are released."""
        with self._pipeline.stores.admit(length):
            yield
        self._free()

    @property
    def model(self) -> ModelIdentity:
        """See ``ImageClassifier``."""
        return self._pipeline.classifier.model

    def classify(self, content: bytes) -> Classification:
        """Wait for a CPU, then classify."""
        self._move("decode")
        with self._pipeline.cpu:
            answer = self._pipeline.classifier.classify(content)
        self._pipeline.add_time(answer)
        return answer

    def _free(self) -> None:
        if self._stage in {"read", "decode"}:
            self._move("write")
            self._pipeline.slot.release()

    def _move(self, to: str | None) -> None:
        self._pipeline.move(self._stage, to)
        self._stage = to
