"""The storage account for the commands: settings, clients and stores, made as the app makes them.

Settings come from the environment, then ``local.settings.json``, then the defaults, as for the dev host.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.actions.after_commit import chosen_actions
from storage.blobs import SourceBlobs
from storage.clients import Clients, connect
from storage.connection import DEVELOPMENT_STORAGE
from storage.pipeline.capture import capture_rules
from storage.pipeline.messages import Queues
from storage.pipeline.queue import RequestQueue
from storage.pipeline.stores import Stores
from storage.results.store import Results
from storage.settings import APP_ROOT, Settings
from tools.devhost.settings import load_settings
from tools.failures.first_request import FirstRequestSession

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Account:
    """Settings, one set of clients, and the stores on it. Thread-safe."""

    settings: Settings
    clients: Clients
    stores: Stores
    queue: RequestQueue


@contextmanager
def open_account(environ: Mapping[str, str] = os.environ) -> Iterator[Account]:
    """Open the account that the settings name, and close its connections at the end. No request is sent.

    The first request to each of its services raises ``UnreachableError`` if it cannot be reached.

    Raises:
        SettingsError: Settings are missing or wrong; the message names each.
        ConfigurationError: ``local.settings.json`` cannot be read.
    """
    settings = Settings.from_environ(load_settings(APP_ROOT, environ, DEVELOPMENT_STORAGE))
    session = FirstRequestSession(settings.image_storage)
    clients = connect(settings.image_storage, max_blob_bytes=settings.max_image_bytes, session=session)
    stores = Stores(
        SourceBlobs(clients.blobs, settings.max_image_bytes),
        Results(clients, table=settings.results_table, container=settings.results_container),
        keep_scores=settings.keep_scores,
        capture=capture_rules(settings.taken_at_from_name, keep_location=settings.keep_location),
        actions=chosen_actions(settings, clients),
    )
    try:
        yield Account(settings, clients, stores, RequestQueue(clients, Queues(settings.requests_queue)))
    finally:
        clients.close()


def no_container(container: str) -> str:
    """The sentence for a container that does not exist."""
    return f"The container {container} does not exist: check INCOMING_CONTAINER and ImageStorage, or create it."
