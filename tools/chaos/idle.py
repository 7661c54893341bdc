"""Detects when no work is left: no queue has a message, and the host has queued the content of every blob."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from inference.errors import TransientError
from tools.chaos.storage_names import DENIED, HOST_ID, INCOMING, LOCKED, QUEUES

if TYPE_CHECKING:
    from collections.abc import Callable

_SMALL_BACKLOG = 20
_MAX_KILL_SECONDS = 120.0
_POLL_SECONDS = 0.5
_QUIET_SECONDS = 15.0  # several scans, one every 2 s
_RECEIPTS = f"blobreceipts/{HOST_ID}/Host.Functions.classify_uploaded/"


class IdleDetector:
    """Watches queues and blob receipts directly in storage.

    Args:
        connection_string: Of the account, without the proxy.
        polling: Whether the host finds blobs by polling, so that every blob needs a complete receipt.
        running_triggers: Returns how many triggered changes are still running.
        misses_uploads: Whether the scanner may never find a blob, as the real one on an emulator. Then no work is left
            when no queue has a message and no receipt was written for a while.
        timeout_seconds: The longest wait for the queues to become empty.
    """

    def __init__(
        self,
        connection_string: str,
        *,
        polling: bool,
        running_triggers: Callable[[], int],
        misses_uploads: bool = False,
        timeout_seconds: float = 600.0,
    ) -> None:
        self._blobs = BlobServiceClient.from_connection_string(connection_string)
        self._queues = QueueServiceClient.from_connection_string(connection_string)
        self._polling = polling
        self._running_triggers = running_triggers
        self._misses_uploads = misses_uploads
        self._timeout_seconds = timeout_seconds

    def backlog(self) -> int:
        """Count the work left: messages (hidden ones included), blobs not queued yet, and running changes.

        A polling host never queues a blob whose properties it cannot read: ``reconcile`` does that.
        """
        blobs = [name for name in self.unqueued_blobs() if not name.startswith((LOCKED, DENIED))]
        return self._running_triggers() + self._messages() + len(blobs)

    def wait_until_nearly_idle(self) -> None:
        """Wait until the backlog is small, or for two minutes at most."""
        deadline = time.monotonic() + _MAX_KILL_SECONDS
        self._wait(lambda: self.backlog() < _SMALL_BACKLOG or time.monotonic() > deadline, "the backlog to shrink")

    def wait_until_idle(self) -> None:
        """Wait until the backlog is empty twice in a row, since work can move between queues during one count.

        Raises:
            TransientError: It did not become empty in time.
        """
        if self._misses_uploads:
            self._wait_until_nothing_changes()
        else:
            self._wait(lambda: not self.backlog() and not self.backlog(), "the queues to become empty")

    def _wait_until_nothing_changes(self) -> None:
        last: tuple[int, set[str]] | None = None
        since = time.monotonic()

        def is_quiet() -> bool:
            nonlocal last, since
            now = (self._running_triggers() + self._messages(), self.unqueued_blobs())
            if now[0] or now != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since > _QUIET_SECONDS

        self._wait(is_quiet, "the queues to stay empty")

    def _messages(self) -> int:
        counts = (self._queues.get_queue_client(queue).get_queue_properties() for queue in QUEUES)
        return sum(properties.approximate_message_count or 0 for properties in counts)

    def unqueued_blobs(self) -> set[str]:
        """Return the blobs whose current ETag has no complete receipt."""
        if not self._polling:
            return set()
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
        return {
            blob.name for blob in blobs if f'"{str(blob.etag).strip(chr(34))}"/{INCOMING}/{blob.name}' not in queued
        }

    def _wait(self, is_reached: Callable[[], bool], condition: str) -> None:
        deadline = time.monotonic() + self._timeout_seconds
        while not is_reached():
            if time.monotonic() > deadline:
                raise TransientError(f"Waited {self._timeout_seconds:.0f} s in vain for {condition}.")
            time.sleep(_POLL_SECONDS)
