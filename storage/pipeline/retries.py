"""Tries failed images again after growing delays, and writes a ``failed`` row after the last attempt.

The host retries blob triggers at once, so a short outage uses up all five attempts; it retries queue messages at one
fixed interval. Neither outlasts an hour. The number of attempts therefore travels in this app's own message, and each
attempt makes the next one invisible for longer.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inference.errors import ClassificationError
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.messages import MAX_BLOBS
from storage.refusals import FailureReason
from storage.results.commit import commit
from storage.results.record import Record, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inference.predictions import ImageClassifier
    from storage.pipeline.messages import Request
    from storage.pipeline.queue import RequestQueue
    from storage.pipeline.stores import Stores
    from storage.results.record import Image

logger = logging.getLogger(__name__)

_MAX_DETAIL = 1000  # characters


@dataclass(frozen=True, slots=True)
class Retries:
    """Queues another attempt, and gives up after the last one. Thread-safe.

    Attributes:
        stores: Where images and outcomes are.
        queue: Holds the next attempt.
        delays_seconds: Before the first, second ... delayed attempt; after the last one comes the ``failed`` row.
    """

    stores: Stores
    queue: RequestQueue
    delays_seconds: tuple[int, ...]

    def classify_request(self, request: Request, classifier: Callable[[], ImageClassifier]) -> None:
        """Classify every image of a request. Images that fail for now are queued again or given up.

        A request with more images than one message should have is not served but queued again in parts.

        Raises:
            TransientError: The next attempt could not be queued; the host must keep the message.
            ConfigurationError: Likewise.
        """
        if len(request.blobs) > MAX_BLOBS:
            logger.info("request_split blobs=%d", len(request.blobs))
            self.queue.send(request)
            return
        errors: dict[Image, str] = {}
        for image in request.images:
            try:
                classify_blob(
                    self.stores, classifier(), image, redo_before=request.redo_before, attempt=request.attempt
                )
            except ClassificationError as error:
                logger.warning(
                    "image_attempt_failed image=%s attempt=%d error=%s", _json(image), request.attempt, error
                )
                errors[image] = str(error)
            except Exception as error:  # an error without a class is a fault of this app, met by this image alone
                logger.exception("image_attempt_failed image=%s attempt=%d", _json(image), request.attempt)
                errors[image] = f"An unexpected {type(error).__name__} ended the attempt; the log has its traceback."
        if errors:
            self.retry_or_give_up(request, errors)

    def retry_or_give_up(self, request: Request, errors: Mapping[Image, str]) -> None:
        """Queue another attempt for images of a request, or give up after the last one.

        Args:
            request: The request that named them.
            errors: The images, each with its last error.

        Raises:
            TransientError: The next attempt could not be queued; the host must keep the message.
            ConfigurationError: Likewise.
        """
        if request.attempt < len(self.delays_seconds):
            delay = self.delays_seconds[request.attempt]
            blobs = tuple(image.blob_name for image in errors)
            self.queue.send(replace(request, blobs=blobs, attempt=request.attempt + 1), delay_seconds=delay)
            for image in errors:
                logger.warning(
                    "image_retry_queued image=%s attempt=%d seconds=%d", _json(image), request.attempt + 1, delay
                )
            return
        self.give_up(request, errors)

    def end_abandoned(self, request: Request, error: str) -> None:
        """End a message whose every delivery ended without an answer: one of its images ends the worker, or hangs.

        Several images are queued again one by one, with their number of attempts unchanged, because only one of them
        is known to be at fault. A single image is given up.

        Args:
            request: The request of the message.
            error: What happened, for the ``failed`` row.

        Raises:
            TransientError: A message could not be queued; the host must keep this one.
            ConfigurationError: Likewise.
        """
        if len(request.blobs) == 1:
            self.give_up(request, dict.fromkeys(request.images, error))
            return
        logger.warning("request_split blobs=%d because=abandoned", len(request.blobs))
        for each in request.one_by_one():
            self.queue.send(each)

    def give_up(self, request: Request, errors: Mapping[Image, str]) -> None:
        """Write ``failed`` rows for images of a request, each with its last error.

        When a row cannot be written either, storage is still unavailable. That image is queued again after the longest
        delay, as often as necessary, because nothing reads a message that ends on a poison queue.

        Raises:
            TransientError: The next attempt could not be queued; the host must keep the message.
            ConfigurationError: Likewise.
        """
        unwritten: list[str] = []
        for image, error in errors.items():
            try:
                give_up(self.stores, image, error)
            except ClassificationError as failure:
                logger.warning("image_row_not_written image=%s error=%s", _json(image), failure)
                unwritten.append(image.blob_name)
        if unwritten:
            again = replace(request, blobs=tuple(unwritten), attempt=len(self.delays_seconds))
            self.queue.send(again, delay_seconds=self.delays_seconds[-1])


def give_up(stores: Stores, image: Image, error: str) -> Record | None:
    """Write a ``failed`` row with the last error. Another outcome for the same content is never overwritten.

    Returns:
        The committed record; ``None`` when the blob is deleted.

    Raises:
        TransientError: Storage failed.
        ConfigurationError: Storage refused the request.
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
        model="",  # no model classified it
        model_version="",
        classified_at=stores.now(),
        sidecar=stores.results.sidecar_path(image),
        reason=str(FailureReason.GAVE_UP),
        detail=error[:_MAX_DETAIL],
        blob_last_modified=info.last_modified,
        content_length=info.content_length,
    )
    committed = commit(stores.results, stores.source, record, row, notifier=stores.actions.notifications)
    if committed is not None and committed.status is Status.FAILED:
        logger.error("image_failed image=%s error=%s do=redrive", _json(image), error)
    if committed is not None:
        stores.actions.after_commit(stores.results, committed)
    return committed


def _json(image: Image) -> str:
    """An image's name as in ``image_finished``, so that one search finds every line about it."""
    return json.dumps(str(image))
