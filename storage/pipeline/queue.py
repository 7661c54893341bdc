"""The app's own queue: requests to look at images again, now or after a delay.

Most processes never send one, so the queue's client, and with it the SDK's package, comes at the first use.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from storage.errors import translated
from storage.pipeline.messages import QUEUE

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

    from storage.clients import Clients
    from storage.pipeline.messages import Request

_FOR_EVER = -1  # seconds to live: the default of seven days would lose work that waited through a long outage


class RequestQueue:
    """Sends requests. The queue appears on first use. Thread-safe."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @cached_property
    def _queue(self) -> QueueClient:
        from azure.storage.queue import TextBase64EncodePolicy

        # Base64 is what the host expects of every queue (host.json's messageEncoding default).
        return self._clients.queues.get_queue_client(QUEUE, message_encode_policy=TextBase64EncodePolicy())

    def send(self, request: Request, *, delay_seconds: int = 0) -> None:
        """Put a request on the queue, hidden for ``delay_seconds`` (0 to 604,800).

        Raises:
            TransientError: Storage failed; whoever holds the work must not let go of it.
            ConfigurationError: Storage refused.
        """
        text = request.to_json()
        with translated(f"sending to the queue {QUEUE}"):
            try:
                self._queue.send_message(text, visibility_timeout=delay_seconds, time_to_live=_FOR_EVER)
            except ResourceNotFoundError:
                with suppress(ResourceExistsError):
                    self._queue.create_queue()
                self._queue.send_message(text, visibility_timeout=delay_seconds, time_to_live=_FOR_EVER)

    def waiting(self) -> int:
        """About how many requests there are, those hidden for later included.

        Raises:
            TransientError: Storage failed.
            ConfigurationError: Storage refused.
        """
        with translated(f"looking at the queue {QUEUE}"):
            try:
                return int(self._queue.get_queue_properties().approximate_message_count or 0)
            except ResourceNotFoundError:
                return 0
