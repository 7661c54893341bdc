"""Reads the messages of the app's queues, and decides what happens to a message that the app cannot process.

A function that fails on a ``-poison`` queue leaves its message there, hidden for ten minutes at a time, until it
expires after seven days. A message that can never be processed is therefore moved to ``<REQUESTS_QUEUE>-refused``,
where it is visible and does not expire. docs/adr/0016-message-encoding.md gives the reasons.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from storage.pipeline.messages import (
    BLOB_POISON_QUEUE,
    MessageError,
    Request,
    from_blob_poison,
)

if TYPE_CHECKING:
    from storage.pipeline.queue import RefusedQueue

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Intake:
    """Reads messages, and moves those that can never be processed. Thread-safe.

    Attributes:
        container: The container of this app's images.
        refused: Where refused messages go.
    """

    container: str
    refused: RefusedQueue

    def read(self, queue: str, message_id: str | None, body: bytes) -> Request | None:
        """Return the request of a message, or ``None`` when the message was moved to the queue of refused messages.

        Args:
            queue: The queue that the message came from.
            message_id: For the log.
            body: As the host hands it over: the text of the message, or its content if the host decoded Base64.

        Raises:
            ConfigurationError: The message belongs to another app, which may still read it: the host keeps it.
            TransientError: Storage failed; the host must keep the message.
        """
        try:
            request = from_blob_poison(body) if queue == BLOB_POISON_QUEUE else Request.from_body(body)
        except MessageError as error:
            self._refuse(queue, message_id, body, str(error))
            return None
        reason = request.foreign_to(self.container)
        if reason is None:
            return request
        if queue == self.refused.queues.poison:  # no other app has taken it in five deliveries
            self._refuse(queue, message_id, body, reason)
            return None
        if queue == BLOB_POISON_QUEUE:  # all apps with blob triggers on this account share this queue
            _log(queue, message_id, reason, kept_on=queue)
        raise ConfigurationError(f"The message is refused: {reason}. It belongs to another app and stays on its queue.")

    def _refuse(self, queue: str, message_id: str | None, body: bytes, reason: str) -> None:
        self.refused.send(body)
        _log(queue, message_id, reason, kept_on=self.refused.queues.refused)


def _log(queue: str, message_id: str | None, reason: str, *, kept_on: str) -> None:
    because = json.dumps(reason)
    logger.error("message_refused queue=%s id=%s because=%s kept_on=%s do=redrive", queue, message_id, because, kept_on)
