"""The app's own queue: requests to classify images, now or after a delay.

Most processes never send one, so the queue's client and the SDK's queue package are loaded at the first use.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from storage.errors import translate_errors
from storage.pipeline.messages import QUEUE

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

    from storage.clients import Clients
    from storage.pipeline.messages import Request

_NEVER_EXPIRES = -1  # the default time to live of seven days would lose a request that waits through a long outage


class RequestQueue:
    """Sends requests. The first one creates the queue. Thread-safe."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @cached_property
    def _queue(self) -> QueueClient:
        from azure.storage.queue import TextBase64EncodePolicy

        # Base64 is what the host expects of every queue (host.json's messageEncoding default).
        return self._clients.queues.get_queue_client(QUEUE, message_encode_policy=TextBase64EncodePolicy())

    def send(self, request: Request, *, delay_seconds: int = 0) -> None:
        """Put a request on the queue, invisible for ``delay_seconds`` (0 to 604,800).

        Raises:
            TransientError: Storage failed; the caller must keep the work.
            ConfigurationError: Storage refused the request.
        """
        text = request.to_json()
        with translate_errors(f"sending to the queue {QUEUE}"):
            try:
                self._queue.send_message(text, visibility_timeout=delay_seconds, time_to_live=_NEVER_EXPIRES)
            except ResourceNotFoundError:
                with suppress(ResourceExistsError):
                    self._queue.create_queue()
                self._queue.send_message(text, visibility_timeout=delay_seconds, time_to_live=_NEVER_EXPIRES)

    def approximate_message_count(self) -> int:
        """About how many requests there are, invisible ones included.

        Raises:
            TransientError: Storage failed.
            ConfigurationError: Storage refused the request.
        """
        with translate_errors(f"reading the queue {QUEUE}"):
            try:
                return int(self._queue.get_queue_properties().approximate_message_count or 0)
            except ResourceNotFoundError:
                return 0
