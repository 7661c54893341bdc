"""Messages about committed results, on a queue that another program reads.

A result that matches is committed with a mark in its row (``notify_due``). After the commit the message is sent, then
the mark is removed. A process that dies in between leaves the mark: the next delivery of the image, ``reconcile``, or
the attempt that replaces the row sends the message. So each is sent at least once, never before its commit, and a
second copy has the same ``id``.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from storage.errors import ConflictError
from storage.pipeline.queue import send_text

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

    from storage.clients import Clients
    from storage.results.commit import ResultStore
    from storage.results.record import Image, Record
    from storage.results.store import Stored

SCHEMA_VERSION = 1
_MAX_LABEL = 1000  # characters: a message holds 48 KiB before Base64, and only a broken model has such a label


@dataclass(frozen=True)
class Notifications:
    """Sends messages to one queue. The first one creates the queue. Thread-safe.

    Attributes:
        clients: Pooled clients of the image account.
        queue_name: The queue.
        labels: Only results with one of these labels match; without labels every result, failed ones too.
    """

    clients: Clients
    queue_name: str
    labels: frozenset[str] = frozenset()

    @cached_property
    def _queue(self) -> QueueClient:
        from azure.storage.queue import TextBase64EncodePolicy  # most processes send nothing

        return self.clients.queues.get_queue_client(self.queue_name, message_encode_policy=TextBase64EncodePolicy())

    def matches(self, record: Record) -> bool:
        """Whether a message about this result is asked for."""
        return not self.labels or record.label in self.labels

    def send(self, record: Record) -> None:
        """Send the message about a committed result.

        Raises:
            TransientError: Storage failed; the mark in the row stays.
            ConfigurationError: Storage refused the request; likewise.
        """
        send_text(self._queue, json.dumps(message(record), ensure_ascii=False))

    def send_due(self, results: ResultStore, image: Image, row: Stored | None = None) -> bool:
        """Send the message that the row of an image marks as due, and remove the mark.

        Args:
            results: Where the row is.
            image: The image.
            row: The row, if it was read just now.

        Returns:
            Whether a message was due.

        Raises:
            TransientError: Storage failed; the mark stays.
            ConfigurationError: Storage refused the request; likewise.
        """
        row = row or results.read_row(image)
        if row is None or row.record is None or not row.record.notify_due:
            return False
        self.send(row.record)
        with suppress(ConflictError):  # another attempt sent it too and replaced the row, whose mark is its own
            results.write_row(replace(row.record, notify_due=False), row)
        return True


def message(record: Record) -> dict[str, Any]:
    """The message about a result (``docs/notification.schema.json``); ``None`` for a value that does not exist."""
    return {
        "schema_version": SCHEMA_VERSION,
        "id": message_id(record),
        "container": record.container,
        "blob_name": record.blob_name,
        "etag": record.etag,
        "status": str(record.status),
        "label": record.label[:_MAX_LABEL] if record.label is not None else None,
        "score": record.score,
        "reason": record.reason,
        "taken_at": record.taken_at,
        "classified_at": record.classified_at.isoformat(),
        "model": record.model,
        "model_version": record.model_version,
        "decision_version": record.decision_version,
        "sidecar": record.sidecar,
    }


def message_id(record: Record) -> str:
    """32 hex digits: equal for every copy of a message, different for another content, model, decision or answer."""
    parts = (
        record.container,
        record.blob_name,
        record.etag,
        record.model_version,
        record.decision_version,
        str(record.status),
        record.label,
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
