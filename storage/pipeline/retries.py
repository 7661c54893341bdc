"""What happens to images that could not be settled: tried again after growing delays, at last given up in a row.

Blob retries are immediate, so a short outage burns all five at once; queue retries come at one fixed interval. Neither
outlives an hour. The attempt count therefore travels in our own message, and each try hides the next for longer.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inference.errors import ClassificationError
from inference.predictions import ModelIdentity
from storage.pipeline.classify_blob import classify_blob
from storage.results.commit import commit
from storage.results.record import Record, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inference.predictions import ImageClassifier
    from storage.pipeline.classify_blob import Stores
    from storage.pipeline.messages import Request
    from storage.pipeline.queue import RequestQueue
    from storage.results.record import Image

logger = logging.getLogger(__name__)

_NO_MODEL = ModelIdentity("", "")
_MAX_DETAIL = 1000


@dataclass(frozen=True, slots=True)
class Retries:
    """Tries again later, and gives up in the end. Thread-safe.

    Attributes:
        desk: Where images and outcomes are.
        queue: Where the next try waits.
        delays_seconds: Before the first, second ... delayed try; after the last one comes the ``failed`` row.
    """

    stores: Stores
    queue: RequestQueue
    delays_seconds: tuple[int, ...]

    def serve(self, request: Request, classifier: Callable[[], ImageClassifier]) -> None:
        """Settle every image of a request; those that cannot be settled now are sent round again or given up.

        Raises:
            TransientError: The next try could not be queued, or giving up could not be written: the message must stay.
            ConfigurationError: Likewise.
        """
        unsettled: dict[Image, str] = {}
        for image in request.images:
            try:
                classify_blob(
                    self.stores, classifier(), image, redo_before=request.redo_before, attempt=request.attempt
                )
            except ClassificationError as error:
                logger.warning("image_not_settled image=%s attempt=%d error=%s", _name(image), request.attempt, error)
                unsettled[image] = str(error)
        if unsettled:
            self.later_or_never(request, unsettled)

    def later_or_never(self, request: Request, errors: Mapping[Image, str]) -> None:
        """Queue another try of images of a request, or write ``failed`` rows after the last one.

        Args:
            request: What they came with.
            errors: The images, each with what went wrong with it last.
        """
        if request.attempt < len(self.delays_seconds):
            delay = self.delays_seconds[request.attempt]
            blobs = tuple(image.blob_name for image in errors)
            self.queue.send(replace(request, blobs=blobs, attempt=request.attempt + 1), delay_seconds=delay)
            for image in errors:
                logger.warning("image_delayed image=%s attempt=%d seconds=%d", _name(image), request.attempt + 1, delay)
            return
        self.give_up(request, errors)

    def give_up(self, request: Request, errors: Mapping[Image, str]) -> None:
        """Write ``failed`` rows for images of a request, each with what went wrong with it last.

        Where that fails too the world is still away, and nothing can be said of an image yet: it is tried again after
        the longest delay, as often as that takes, rather than dropped on a queue that nobody reads.

        Raises:
            TransientError: The next try could not be queued: the message must stay.
            ConfigurationError: Likewise.
        """
        unwritten: list[str] = []
        for image, error in errors.items():
            try:
                give_up(self.stores, image, error)
            except ClassificationError as trouble:
                logger.warning("image_not_given_up image=%s error=%s", _name(image), trouble)
                unwritten.append(image.blob_name)
        if unwritten:
            again = replace(request, blobs=tuple(unwritten), attempt=len(self.delays_seconds))
            self.queue.send(again, delay_seconds=self.delays_seconds[-1])


def give_up(stores: Stores, image: Image, error: str) -> Record | None:
    """Write a ``failed`` row that carries the last error. A verdict on the same content is never overwritten.

    Returns:
        The record that stands; ``None`` when the blob is gone.

    Raises:
        TransientError: Storage failed.
        ConfigurationError: Storage refused.
    """
    row = stores.results.read_row(image)
    info = stores.source.info(image)
    if info is None:
        return None
    record = Record(
        container=image.container,
        blob_name=image.blob_name,
        status=Status.FAILED,
        etag=info.etag,
        model=_NO_MODEL.name,
        model_version=_NO_MODEL.version,
        classified_at=stores.now(),
        sidecar=stores.results.sidecar_path(image),
        reason="gave_up",
        detail=error[:_MAX_DETAIL],
        blob_last_modified=info.last_modified,
        content_length=info.content_length,
    )
    stands = commit(stores.results, stores.source, record, row)
    if stands is not None and stands.status is Status.FAILED:
        logger.error("image_failed image=%s error=%s do=redrive", _name(image), error)
    return stands


def _name(image: Image) -> str:
    """As in the line that ``settle`` leaves, so that one search finds all that was said of an image."""
    return json.dumps(str(image))
