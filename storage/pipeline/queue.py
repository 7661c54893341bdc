"""The app's own queues: requests to classify images, now or after a delay, and messages that were refused.

Most processes never send a message, so the clients and the SDK's queue package are loaded at the first use.
"""

from __future__ import annotations

import re
from base64 import b64encode
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from storage.errors import translate_errors
from storage.pipeline.messages import Queues

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

    from storage.clients import Clients
    from storage.pipeline.messages import Request

_DEFAULT = Queues()
_NEVER_EXPIRES = -1  # the default time to live of seven days would lose a message that waits through a long outage
_NOT_IN_XML = re.compile("[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


class RequestQueue:
    """Sends requests to ``queues.requests``. The first one creates the queue. Thread-safe."""

    def __init__(self, clients: Clients, queues: Queues = _DEFAULT) -> None:
        self._clients = clients
        self.queues = queues

    @cached_property
    def _queue(self) -> QueueClient:
        from azure.storage.queue import TextBase64EncodePolicy

        # Read under every messageEncoding of host.json, and safe in XML for every character of a name.
        return self._clients.queues.get_queue_client(
            self.queues.requests, message_encode_policy=TextBase64EncodePolicy()
        )

    def send(self, request: Request, *, delay_seconds: int = 0) -> None:
        """Put a request on the queue, invisible for ``delay_seconds`` (0 to 604,800). A large one is sent in parts.

        Raises:
            TransientError: Storage failed; the caller must keep the work.
            ConfigurationError: Storage refused the request.
        """
        for part in request.parts():
            send_text(self._queue, part.to_json(), delay_seconds=delay_seconds)

    def approximate_message_count(self) -> int:
        """About how many requests there are, invisible ones included.

        Raises:
            TransientError: Storage failed.
            ConfigurationError: Storage refused the request.
        """
        with translate_errors(f"reading the queue {self.queues.requests}"):
            try:
                return int(self._queue.get_queue_properties().approximate_message_count or 0)
            except ResourceNotFoundError:
                return 0


class RefusedQueue:
    """Keeps messages that cannot be processed until a person acts. The first one creates the queue. Thread-safe."""

    def __init__(self, clients: Clients, queues: Queues = _DEFAULT) -> None:
        self._clients = clients
        self.queues = queues

    @cached_property
    def _queue(self) -> QueueClient:
        return self._clients.queues.get_queue_client(self.queues.refused)

    def send(self, body: bytes) -> None:
        """Keep a message's body: unchanged where a queue can hold it, else in Base64.

        Raises:
            TransientError: Storage failed; the caller must keep the message.
            ConfigurationError: Storage refused the request.
        """
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text = ""
        if not text or _NOT_IN_XML.search(text):
            text = b64encode(body).decode()
        send_text(self._queue, text)


def send_text(queue: QueueClient, text: str, *, delay_seconds: int = 0) -> None:
    """Put a text on a queue, where it never expires; create the queue if it is missing.

    Args:
        queue: The queue; its policy encodes the text.
        text: Up to 64 KiB when it is encoded.
        delay_seconds: How long it stays invisible, 0 to 604,800.

    Raises:
        TransientError: Storage failed; the caller must keep the work.
        ConfigurationError: Storage refused the request.
    """
    with translate_errors(f"sending to the queue {queue.queue_name}"):
        try:
            queue.send_message(text, visibility_timeout=delay_seconds, time_to_live=_NEVER_EXPIRES)
        except ResourceNotFoundError:
            with suppress(ResourceExistsError):
                queue.create_queue()
            queue.send_message(text, visibility_timeout=delay_seconds, time_to_live=_NEVER_EXPIRES)
