"""The storage accounts the host works on: one set of pooled clients for each, and one voice when an account is away."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError

from storage.clients import connect
from storage.connection import read_connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azure.storage.blob import ContainerClient
    from azure.storage.queue import QueueClient

logger = logging.getLogger(__name__)

# Our loops repeat by themselves; the SDK's own retries would only delay the moment a person is told.
AT_ONCE: dict[str, Any] = {"retry_total": 0}


class Account:
    """One storage account. Thread-safe.

    Attributes:
        endpoint: The blob service's address, without anything secret.
        is_local: Whether it is an emulator, whose addresses have the account in the path.
    """

    def __init__(self, name: str, settings: Mapping[str, str]) -> None:
        self._clients = connect(read_connection(settings, name))
        address = urlsplit(self._clients.blobs.url)
        self.endpoint = f"{address.scheme}://{address.netloc}{address.path.rstrip('/')}"
        self.name = str(self._clients.blobs.account_name)
        self.is_local = bool(address.path.strip("/"))
        self._failing: set[str] = set()
        self._lock = threading.Lock()

    def container(self, name: str) -> ContainerClient:
        """Return a client; no request is sent."""
        return self._clients.blobs.get_container_client(name)

    def queue(self, name: str) -> QueueClient:
        """Return a client that leaves message texts as they are; no request is sent."""
        return self._clients.queues.get_queue_client(name)

    @contextlib.contextmanager
    def watch(self, who: str) -> Iterator[None]:
        """Swallow storage errors of one step of a loop that will be repeated, and say so once, not at every step.

        Args:
            who: Which loop this is; the account counts as back when all of its loops are.
        """
        try:
            yield
        except AzureError as error:
            with self._lock:
                first = not self._failing
                self._failing.add(who)
            if first:
                logger.warning("storage_unavailable account=%s error=%s; trying again until it answers", self.endpoint,
                               describe(error))  # fmt: skip
        else:
            self.answered(who)

    def answered(self, who: str) -> None:
        """Note that storage answered one of its loops."""
        with self._lock:
            back = who in self._failing and len(self._failing) == 1
            self._failing.discard(who)
        if back:
            logger.warning("storage_available account=%s", self.endpoint)

    def close(self) -> None:
        """Give the pooled connections back."""
        self._clients.close()


def create_container(container: ContainerClient) -> None:
    """Create a container that may be there already."""
    with contextlib.suppress(ResourceExistsError):
        container.create_container(**AT_ONCE)


def create_queue(queue: QueueClient) -> None:
    """Create a queue that may be there already."""
    with contextlib.suppress(ResourceExistsError):
        queue.create_queue(**AT_ONCE)


def describe(error: AzureError) -> str:
    """Return what storage answered, in a few words on one line."""
    if isinstance(error, HttpResponseError):
        return f"{error.status_code} {getattr(error, 'error_code', None) or error.reason}"
    return f"{type(error).__name__} (no answer)"
