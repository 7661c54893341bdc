"""Service clients: pooled, one set per process, shared by every thread.

A client per invocation costs a new connection, a TLS handshake and a token each time (measured over TLS: 30 to 39
requests/s against 140 to 310/s pooled), so one set is created and kept. Creating it opens no connection.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient, ExponentialRetry

from storage.connection import connection_string_fault
from storage.errors import SettingsError
from storage.http_session import PreparedRequestSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azure.core.credentials import TokenCredential
    from azure.storage.queue import QueueServiceClient

    from storage.connection import Connection

# At least the number of threads: the worker's pool has at most 32 (min(32, cpus + 4)), and tools read ahead. A smaller
# pool does not block, it closes connections.
POOL_SIZE = 64
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
# Three retries after about 1, 3 and 5 s: long enough for brief throttling, short enough not to hold a worker's thread
# through an outage. Outages are left to the delayed queue.
_TABLE_RETRY = {"retry_total": 3, "retry_backoff_factor": 0.8}


@dataclass(frozen=True)
class Clients:
    """The three services of one storage account. Thread-safe, as the SDK's clients are.

    Attributes:
        blobs: The blob service.
        tables: The table service.
        open_queues: Creates the client of the queue service.
    """

    blobs: BlobServiceClient
    tables: TableServiceClient
    open_queues: Callable[[], QueueServiceClient]

    @cached_property
    def queues(self) -> QueueServiceClient:
        """The queue service, loaded at first use: most processes send nothing, and its package costs start-up time.

        Raises:
            SettingsError: The connection string cannot be read.
        """
        return self.open_queues()

    def close(self) -> None:
        """Close the pooled connections."""
        self.blobs.close()
        self.tables.close()
        if "queues" in vars(self):
            self.queues.close()


def connect(
    connection: Connection, *, max_blob_bytes: int = 32 * 1024 * 1024, session: PreparedRequestSession | None = None
) -> Clients:
    """Create the clients of one account. No request is sent.

    Args:
        connection: The account and the credentials.
        max_blob_bytes: A blob of up to this many bytes is read in one request.
        session: Sends the requests; by default one that keeps up to ``POOL_SIZE`` connections per host.

    Raises:
        SettingsError: The connection string cannot be read.
    """
    _keep_urls_out_of_logs()
    options: dict[str, Any] = {
        "transport": RequestsTransport(
            session=session or PreparedRequestSession(POOL_SIZE),
            session_owner=False,
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            # Bytes per read. In smaller pieces an image is copied twice to join them.
            connection_data_block_size=max_blob_bytes,
        )
    }
    retry = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=3, random_jitter_range=1)
    storage = {**options, "retry_policy": retry}
    blobs = {**storage, "max_single_get_size": max_blob_bytes, "max_chunk_get_size": max_blob_bytes}
    tables = {**options, **_TABLE_RETRY}
    text = connection.connection_string
    if text is not None and (fault := connection_string_fault(text)):
        raise SettingsError(f"{connection.name} {fault}")
    with _hidden_connection_errors(connection):
        credential = None if text is not None else _credential(connection)

    def open_queues() -> QueueServiceClient:
        from azure.storage.queue import QueueServiceClient

        with _hidden_connection_errors(connection):
            if text is not None:
                return QueueServiceClient.from_connection_string(text, **storage)
            return QueueServiceClient(connection.queue_uri or "", credential=credential, **storage)

    with _hidden_connection_errors(connection):
        if text is not None:
            return Clients(
                BlobServiceClient.from_connection_string(text, **blobs),
                TableServiceClient.from_connection_string(text, **tables),
                open_queues,
            )
        return Clients(
            BlobServiceClient(connection.blob_uri or "", credential=credential, **blobs),
            TableServiceClient(connection.table_uri or "", credential=credential, **tables),
            open_queues,
        )


@contextmanager
def _hidden_connection_errors(connection: Connection) -> Iterator[None]:
    """Raise the SDK's refusal of a connection as ``SettingsError``. Its text may quote the string, so it is dropped."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(
            f"{connection.name} cannot be read as a storage connection ({type(error).__name__}): copy the connection "
            "string again, whole, from the storage account's access keys."
        ) from None


def _credential(connection: Connection) -> TokenCredential:
    # Imported here: azure-identity costs start-up time, and a connection string does not need it.
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

    if connection.managed_identity:
        return ManagedIdentityCredential(client_id=connection.client_id)
    return DefaultAzureCredential(managed_identity_client_id=connection.client_id)


def _keep_urls_out_of_logs() -> None:
    """Silence log lines that quote URLs, which may hold a SAS: urllib3 writes them as warnings, the SDK at INFO."""
    logging.getLogger("azure").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
