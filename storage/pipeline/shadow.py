"""A candidate on trial, which answers a share of the images beside the model (``docs/adr/0035-candidates.md``).

Its answer is kept beside the result and changes nothing else. A fault costs that answer, and one line in the log for
each version of the candidate.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING

from inference.errors import PermanentError
from inference.predictions import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.predictions import Classification, ImageClassifier, ModelIdentity
    from storage.results.record import Image

logger = logging.getLogger(__name__)

MAX_SECONDS = 1.0
"""A candidate that takes longer for an answer, waits for memory and CPU included, pauses."""
PAUSE_SECONDS = 60.0
"""For how long it is not asked after that, or after a failure."""


class Shadow:
    """Asks a candidate about a share of the images. Thread-safe.

    Args:
        candidate: Returns the candidate; ``None`` while it is not loaded. It never waits.
        share: Of the images, 0 to 1.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        candidate: Callable[[], ImageClassifier | None],
        share: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._candidate = candidate
        self._share = share
        self._clock = clock
        self._paused_until = 0.0
        self._logged: set[tuple[str, str]] = set()

    def warm(self) -> None:
        """Begin to load the candidate, on another thread."""
        self._candidate()

    def chooses(self, image: Image, etag: str) -> bool:
        """Whether an image is of the share: name and ETag decide, so each attempt and each worker agrees."""
        digest = hashlib.sha256(f"{image}\n{etag}".encode()).digest()
        return int.from_bytes(digest[:8]) < self._share * 2**64

    def answer(self, image: Image, content: bytes, serving: ModelIdentity) -> Answer | None:
        """Ask the candidate about one image of the share.

        Args:
            image: The image, for rules by folder.
            content: The encoded image.
            serving: The model of the row; a candidate that is the same has nothing to add.

        Returns:
            What the label would be with the candidate as the model. ``None`` where the candidate is not loaded or
            pauses, or has no answer. Raises nothing.
        """
        if self._clock() < self._paused_until:
            return None
        version = ""
        try:
            candidate = self._candidate()
            if candidate is None or candidate.model.version == serving.version:
                return None
            version = candidate.model.version
            started = self._clock()
            answer = _answer(candidate.classify(content), image)
            seconds = self._clock() - started
        except Exception as error:  # noqa: BLE001 - no fault of a candidate may cost a result
            if not isinstance(error, PermanentError):  # that one concerns this image alone
                self._paused_until = self._clock() + PAUSE_SECONDS
            if self._is_news("failed", version):
                sentence = str(error) or type(error).__name__
                logger.warning("shadow_failed version=%s error=%s do=look_at_the_candidate", version, sentence)
            return None
        if seconds > MAX_SECONDS:
            self._paused_until = self._clock() + PAUSE_SECONDS
            if self._is_news("slow", version):
                logger.warning("shadow_paused version=%s seconds=%.1f pause=%.0f", version, seconds, PAUSE_SECONDS)
        return answer

    def _is_news(self, event: str, version: str) -> bool:
        """Whether this event of this version is the first one."""
        known = (event, version) in self._logged
        self._logged.add((event, version))
        return not known


def _answer(classification: Classification, image: Image) -> Answer:
    """The candidate's answer with the label that its rules decide, as a row would have it."""
    label, index, score = classification.label, classification.label_index, classification.score
    if classification.decision and classification.scores:
        label, index, score = classification.decision.decide(classification.scores, image.blob_name)
    return Answer(classification.model, label, index, score, classification.predictions)
