"""What commands need of the account: settings, clients and the desk, made as the app makes them.

Settings come from the environment, then ``local.settings.json``, then the defaults, as for the dev host.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.blobs import SourceBlobs
from storage.clients import Clients, connect
from storage.queues import RequestQueue
from storage.results import Results
from storage.settings import APP_ROOT, DEVELOPMENT_STORAGE, Settings
from storage.settle import Desk
from tools.devhost.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Wiring:
    """One set of clients and what stands on it. Thread-safe."""

    settings: Settings
    clients: Clients
    desk: Desk
    queue: RequestQueue


@contextmanager
def wired(environ: Mapping[str, str] = os.environ) -> Iterator[Wiring]:
    """Wire up the account that the settings name; its connections are given back at the end. No request is sent.

    Raises:
        SettingsError: Settings are missing or wrong; names every one.
        ConfigurationError: ``local.settings.json`` cannot be read.
    """
    settings = Settings.from_environ(load_settings(APP_ROOT, environ, DEVELOPMENT_STORAGE))
    clients = connect(settings.image_storage, max_blob_bytes=settings.max_image_bytes)
    desk = Desk(
        SourceBlobs(clients.blobs, settings.max_image_bytes),
        Results(clients, table=settings.results_table, container=settings.results_container),
    )
    try:
        yield Wiring(settings, clients, desk, RequestQueue(clients))
    finally:
        clients.close()
