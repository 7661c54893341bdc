"""The line of threads that settles images here: read ahead, decode and infer on every usable CPU, write together.

    images ──> [ place ]  reading ──> waiting ──> [ CPU ]  decoding, inferring ──> writing: sidecar, index, row
               4 per CPU                          1 per CPU                        whoever is not before a CPU

Each thread takes one image from end to end through ``storage.pipeline.classify_blob``, so that every
guarantee is the app's own, also beside the app. Most threads wait for their writes, which travel together
(``storage.results.transactions``): they hold no image.
"""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from inference.errors import TransientError
from storage.pipeline.classify_blob import Finished, Outcome, classify_blob
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

_PLACES_PER_CPU = 4  # images read or being read, per CPU: enough to cover the way to storage, few enough to hold
_WRITING = 96  # threads more than places: about as many images can be in one transaction

# Between tries of one image, on top of the client's own three (about 9 s): an outage of a minute and a half passes.
DELAYS_SECONDS = (2.0, 15.0, 45.0)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An image that kept failing.

    Attributes:
        error: The last error's sentence.
        written: A ``failed`` row says so. Otherwise storage would not take it, or keeps an earlier verdict.
    """

    error: str
    written: bool


@dataclass
class Line:
    """Settles images, on any number of threads up to ``threads``. Thread-safe.

    Attributes:
        desk: Where images are, and how much memory there is for them.
        results: Where outcomes are put together.
        classifier: Judges the bytes.
        cpus: How many images are decoded and inferred at once.
        stopping: Set by whoever wants no more images to be begun.
        redo_before: Outcomes older than this do not count as done; aware UTC.
        threads: How many threads keep the line busy.
    """

    stores: Stores
    results: BatchedResults
    classifier: ImageClassifier
    cpus: int
    stopping: threading.Event = field(default_factory=threading.Event)
    redo_before: datetime | None = None

    def __post_init__(self) -> None:
        """Set up the line, empty."""
        self.stores = replace(self.stores, results=self.results)
        self._places = self.cpus * _PLACES_PER_CPU
        self.threads = self._places + _WRITING
        self.cpu = threading.Semaphore(self.cpus)
        self.place = threading.Semaphore(self._places)
        self._lock = threading.Lock()
        self._at = dict.fromkeys(("read", "decode", "write"), 0)
        self._spent_ms = {"decode": 0.0, "infer": 0.0}

    def classify_blob(self, image: Image, *, is_new: bool = False) -> Finished | Unsettled | None:
        """Settle one image, with patience; ``None`` when the line stops meanwhile, and nothing is known.

        Args:
            image: Which image.
            is_new: The table, just listed, had no row of it.

        Raises:
            ConfigurationError: The deployment is at fault.
        """
        if is_new:
            self.results.expect_no_row(image)
        error = TransientError("It was overwritten again and again while it was read.")
        for delay in (*DELAYS_SECONDS, None):
            try:
                with self.results.participating(), _Passage(self) as passage:
                    stores = replace(self.stores, admit=passage.admit)
                    settled = classify_blob(stores, passage, image, redo_before=self.redo_before)
            except TransientError as raised:
                error = raised
            else:
                # No event need come for a content that is newer than the one just read: the next try settles it.
                if settled.outcome is not Outcome.SUPERSEDED:
                    return settled
            if delay is not None and self.stopping.wait(delay * random.uniform(0.5, 1.5)):
                return None
        try:
            stands = give_up(self.stores, image, str(error))
        except TransientError as again:
            return Unsettled(str(again), written=False)
        if stands is None:
            return Finished(Outcome.GONE)
        return Unsettled(str(error), written=stands.status is Status.FAILED)

    def limit(self) -> str:
        """Name the stage that most images wait for now: ``list``, ``read``, ``decode``, ``infer`` or ``write``."""
        with self._lock:
            at, spent = dict(self._at), dict(self._spent_ms)
        if sum(at.values()) < self.threads // 2 and at["read"] + at["decode"] < self._places:
            return "list"
        if at["read"] + at["decode"] < self._places:
            return "write"
        if at["read"] > at["decode"]:
            return "read"
        return max(spent, key=lambda stage: spent[stage])

    def moved(self, stage: str | None, to: str | None) -> None:
        """Note that an image went from one stage to another."""
        with self._lock:
            if stage:
                self._at[stage] -= 1
            if to:
                self._at[to] += 1

    def spent(self, answer: Classification) -> None:
        """Note what one image took."""
        with self._lock:
            self._spent_ms["decode"] += answer.decode_ms
            self._spent_ms["infer"] += answer.inference_ms


class _Passage:
    """One image's way along the line: it holds a place until its bytes are given back."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._stage: str | None = None

    def __enter__(self) -> Self:
        self._line.place.acquire()
        self._to("read")
        return self

    def __exit__(self, _kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._leave_place()
        self._to(None)

    @contextmanager
    def admit(self, length: int) -> Iterator[None]:
        """Hold memory for the bytes; the place is free again when they are given back."""
        with self._line.stores.admit(length):
            yield
        self._leave_place()

    @property
    def model(self) -> ModelIdentity:
        """See ``ImageClassifier``."""
        return self._line.classifier.model

    def classify(self, content: bytes) -> Classification:
        """Wait for a CPU, then classify."""
        self._to("decode")
        with self._line.cpu:
            answer = self._line.classifier.classify(content)
        self._line.spent(answer)
        return answer

    def _leave_place(self) -> None:
        if self._stage in {"read", "decode"}:
            self._to("write")
            self._line.place.release()

    def _to(self, stage: str | None) -> None:
        self._line.moved(self._stage, stage)
        self._stage = stage
