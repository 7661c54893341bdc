"""The storage accounts of the host: one set of pooled clients each, and one warning while an account is unavailable."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError

from storage.clients import connect
from storage.connection import read_connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azure.storage.blob import ContainerClient
    from azure.storage.queue import QueueClient

logger = logging.getLogger(__name__)

# Our loops repeat by themselves; the SDK's own retries would only delay the warning.
AT_ONCE: dict[str, Any] = {"retry_total": 0}


class Account:
    """One storage account. Thread-safe.

    Attributes:
        endpoint: The blob service's address, without a secret.
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
    def watch(self, loop: str) -> Iterator[None]:
        """Swallow a storage error of one step of a loop that will be repeated, and log one warning, not one per step.

        Args:
            loop: The loop's name. The account is available again when the last failing loop has succeeded.
        """
        try:
            yield
        except ResourceNotFoundError as error:  # an answer about one container, queue, blob or message
            logger.warning("storage_object_missing account=%s in=%s error=%s", self.endpoint, loop, describe(error))
            self._succeeded(loop)
        except AzureError as error:
            with self._lock:
                first = not self._failing
                self._failing.add(loop)
            if first:
                logger.warning("storage_unavailable account=%s error=%s; trying again until it answers", self.endpoint,
                               describe(error))  # fmt: skip
        else:
            self._succeeded(loop)

    def _succeeded(self, loop: str) -> None:
        with self._lock:
            is_last = loop in self._failing and len(self._failing) == 1
            self._failing.discard(loop)
        if is_last:
            logger.warning("storage_available account=%s", self.endpoint)

    def close(self) -> None:
        """Close the pooled connections."""
        self._clients.close()


def create_container(container: ContainerClient) -> bool:
    """Create a container unless it exists, and return whether it is new.

    A name that Azure is still deleting is left: the caller asks again later.
    """
    try:
        container.create_container(**AT_ONCE)
    except ResourceExistsError:
        return False
    return True


def create_queue(queue: QueueClient) -> bool:
    """Create a queue unless it exists, and return whether it is new; see ``create_container``."""
    try:
        queue.create_queue(**AT_ONCE)
    except ResourceExistsError:
        return False
    return True


def restore_container(container: ContainerClient) -> None:
    """Create a container that was deleted while the host was running, and log one warning that names it."""
    if create_container(container):
        logger.warning("container_restored container=%s: it was deleted while this host was running, and is created "
                       "again, empty", container.container_name)  # fmt: skip


def restore_queue(queue: QueueClient) -> None:
    """Create a queue that was deleted while the host was running, and log one warning that names it."""
    if create_queue(queue):
        logger.warning("queue_restored queue=%s: it was deleted while this host was running, with the messages in it, "
                       "and is created again", queue.queue_name)  # fmt: skip


def describe(error: AzureError) -> str:
    """Return storage's answer in a few words on one line."""
    if isinstance(error, HttpResponseError):
        return f"{error.status_code} {getattr(error, 'error_code', None) or error.reason}"
    return f"{type(error).__name__} (no answer)"
