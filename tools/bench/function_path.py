"""The whole function path: ``function_app.py`` on the worker's thread pool, against the emulator.

Blobs arrive as the references that the host sends, made by the bindings extension; the functions are the app's own, and
write rows and sidecars. Before each trial the rows and sidecars of its blobs are taken away again, so that every upload
is fresh. What the functions log is formatted, as the worker does to send it on, and thrown away.
"""

from __future__ import annotations

import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError

from storage import keys
from storage.clients import connect
from storage.connection import Connection
from storage.settings import APP_ROOT, DEFAULTS
from tools.bench.photos import KINDS, photos
from tools.bench.requests_seen import requests_seen
from tools.bench.storage_names import INCOMING, RESULTS, TABLE, blob_names
from tools.bench.trials import Trial, counted
from tools.devhost.app import AppFunction, load_functions
from tools.devhost.bindings import blob_reference
from tools.devhost.invoker import Invoker, worker_threads

if TYPE_CHECKING:
    from tools.bench.worker_process import Contestants, Facts

_CONNECTION = "ImageStorage"
_SERVICES = ("BlobEndpoint", "QueueEndpoint", "TableEndpoint")


def contestants(facts: Facts) -> Contestants:
    """``function``, ``duplicate``, ``classify`` on the same threads, and ``requests``."""
    logging.basicConfig(stream=Path(os.devnull).open("w", encoding="utf-8"), level=logging.INFO)  # noqa: SIM115
    (uploaded,) = (
        each for each in load_functions(APP_ROOT, {**DEFAULTS, **os.environ}) if each.name == "classify_uploaded"
    )
    app: Any = sys.modules["function_app"]
    threads = worker_threads(os.environ)
    stage = _Stage(facts, uploaded, Invoker(APP_ROOT, threads))

    def function(photo: str, images: int) -> Trial:
        names = blob_names(photo, images)
        stage.forget(names)
        return counted(lambda: stage.invoke(names))

    def duplicate(photo: str, images: int) -> Trial:
        """Deliver again what has its row."""
        names = blob_names(photo, images)
        return counted(lambda: stage.invoke(names))

    def classify(photo: str, images: int) -> Trial:
        """What decoding and inferring take of it: the same classifier, as many threads, no storage."""
        contents = photos(KINDS[photo], Path(facts.cache))
        classifier = app.model()

        def work() -> int:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(classifier.classify, (contents[number % len(contents)] for number in range(images))))
            return images

        return counted(work)

    def requests(photo: str) -> Trial:
        """Tell the requests of one fresh upload and of one duplicate; the connections are open already."""
        names = blob_names(photo, 1)
        stage.invoke(names)
        stage.forget(names)
        with requests_seen(_ports(facts.connection_string)) as fresh:
            stage.invoke(names)
        with requests_seen(_ports(facts.connection_string)) as again:
            stage.invoke(names)
        return Trial(1, 0.0, 0.0, {"fresh": fresh, "duplicate": again})

    return {
        "function": function,
        "duplicate": duplicate,
        "classify": classify,
        "requests": requests,
        "threads": lambda: Trial(threads, 0.0, 0.0),
    }


class _Stage:
    """The app, and hands to call it and to make it forget."""

    def __init__(self, facts: Facts, uploaded: AppFunction, invoker: Invoker) -> None:
        self._uploaded = uploaded
        self._invoker = invoker
        clients = connect(Connection(_CONNECTION, connection_string=facts.connection_string))
        self._rows = clients.tables.get_table_client(TABLE)
        self._sidecars = clients.blobs.get_container_client(RESULTS)

    def invoke(self, names: list[str]) -> int:
        """Deliver one event for each blob, and wait for all of them."""
        futures = [self._invoker.submit(self._uploaded, partial(self._reference, name), name) for name in names]
        wait(futures)
        for future in futures:
            future.result()
        return len(names)

    def _reference(self, name: str) -> object:
        return blob_reference(self._uploaded, _CONNECTION, INCOMING, name)

    def forget(self, names: list[str]) -> None:
        """Take away rows and sidecars."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._forget, names))

    def _forget(self, name: str) -> None:
        address = keys.image_keys(INCOMING, name)
        with suppress(ResourceNotFoundError):
            self._rows.delete_entity(address.partition_key, address.row_key)
        with suppress(ResourceNotFoundError):
            self._sidecars.delete_blob(keys.sidecar_name(name))


def _ports(connection_string: str) -> dict[int, str]:
    """Which service of the emulator listens where."""
    parts = dict(part.split("=", 1) for part in connection_string.split(";") if part)
    return {
        int(parts[service].split(":")[2].split("/")[0]): service.removesuffix("Endpoint").lower()
        for service in _SERVICES
    }
