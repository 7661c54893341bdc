"""When nothing is in flight any more: no message on any queue, and every blob handed over by the scanner."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from inference.errors import TransientError
from tools.chaos.workload import HOST_ID, INCOMING, QUEUES

if TYPE_CHECKING:
    from collections.abc import Callable

_LITTLE = 20
_STORM_SECONDS = 120.0
_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 600.0
_RECEIPTS = f"blobreceipts/{HOST_ID}/Host.Functions.classify_uploaded/"


class Quiet:
    """Watches queues and receipts, straight in storage.

    Args:
        connection_string: Of the account.
        scanned: Whether the host finds blobs by scanning, so that each one's receipt has to be complete.
        others: How much else is under way.
    """

    def __init__(self, connection_string: str, *, scanned: bool, others: Callable[[], int]) -> None:
        self._blobs = BlobServiceClient.from_connection_string(connection_string)
        self._queues = QueueServiceClient.from_connection_string(connection_string)
        self._scanned = scanned
        self._others = others

    def backlog(self) -> int:
        """What is still to come: messages, those in work and those hidden included, and blobs not yet found."""
        return self._others() + self._messages() + self._not_handed_over()

    def _messages(self) -> int:
        counts = (self._queues.get_queue_client(queue).get_queue_properties() for queue in QUEUES)
        return sum(properties.approximate_message_count or 0 for properties in counts)

    def wait_until_little(self) -> None:
        """Wait until the storm has little left to spoil, or has raged for long enough."""
        deadline = time.monotonic() + _STORM_SECONDS
        _wait(lambda: self.backlog() < _LITTLE or time.monotonic() > deadline, "the backlog to shrink")

    def wait_until_settled(self) -> None:
        """Wait until nothing is in flight: seen so twice, since work may pass from one queue to another meanwhile."""
        _wait(lambda: not self.backlog() and not self.backlog(), "the queues to empty")

    def _not_handed_over(self) -> int:
        """How many blobs have no receipt yet that says of their present content: queued."""
        if not self._scanned:
            return 0
        hosts = self._blobs.get_container_client("azure-webjobs-hosts")
        try:
            queued = {
                blob.name.removeprefix(_RECEIPTS)
                for blob in hosts.list_blobs(name_starts_with=_RECEIPTS, include=["metadata"])
                if "Incomplete" not in (blob.metadata or {})
            }
        except ResourceNotFoundError:
            queued = set()
        blobs = self._blobs.get_container_client(INCOMING).list_blobs()
        return sum(f'"{str(blob.etag).strip(chr(34))}"/{INCOMING}/{blob.name}' not in queued for blob in blobs)


def _wait(reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not reached():
        if time.monotonic() > deadline:
            raise TransientError(f"After {_PATIENCE_SECONDS:.0f} s of waiting for {what}, it had not happened.")
        time.sleep(_LOOK_SECONDS)
