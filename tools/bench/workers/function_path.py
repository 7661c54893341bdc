"""The whole function path: ``function_app.py`` on a thread pool like the worker's, against the emulator.

Each blob arrives as the reference that the host sends, made by the bindings extension. The functions are the app's own
and write rows and sidecars. Before each trial the rows and sidecars of its blobs are deleted, so that every upload is
fresh. Log records are formatted, as the worker does before it sends them, and discarded.
"""

from __future__ import annotations

import http.client
import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import ResourceNotFoundError

from storage import keys
from storage.clients import connect
from storage.connection import Connection
from storage.settings import APP_ROOT, DEFAULTS
from tools.azurite.azurite import ACCOUNT
from tools.bench.inputs.emulator import CONNECTION, INCOMING, RESULTS, TABLE, blob_names
from tools.bench.inputs.photos import KINDS, photos
from tools.bench.trials import Trial, run_once
from tools.devhost.app import load_functions
from tools.devhost.bindings import blob_reference
from tools.devhost.invoker import Invoker, worker_threads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tools.bench.workers.process import Functions


def functions(cache: Path) -> Functions:
    """``function``, ``duplicate``, ``classify`` on as many threads, and ``requests``."""
    logging.basicConfig(stream=Path(os.devnull).open("w", encoding="utf-8"), level=logging.INFO)  # noqa: SIM115
    connection_string = os.environ[CONNECTION]
    app = _App(connection_string)

    def function(photo: str, images: int) -> Trial:
        names = blob_names(photo, images)
        app.delete_results(names)
        return run_once(lambda: app.deliver(names))

    def duplicate(photo: str, images: int) -> Trial:
        """Deliver events of blobs that have their rows."""
        names = blob_names(photo, images)
        return run_once(lambda: app.deliver(names))

    def classify(photo: str, images: int) -> Trial:
        """Decode and infer the same images with the same classifier and as many threads, without storage."""
        contents = photos(KINDS[photo], cache)

        def work() -> int:
            with ThreadPoolExecutor(app.threads) as pool:
                list(pool.map(app.classifier.classify, (contents[number % len(contents)] for number in range(images))))
            return images

        return run_once(work)

    def requests(photo: str) -> Trial:
        """Record the requests of one fresh upload and of one duplicate; the connections are open already."""
        names = blob_names(photo, 1)
        app.deliver(names)
        app.delete_results(names)
        with recorded_requests(_ports(connection_string)) as fresh:
            app.deliver(names)
        with recorded_requests(_ports(connection_string)) as again:
            app.deliver(names)
        return Trial(1, 0.0, 0.0, {"fresh": fresh, "duplicate": again})

    return {"function": function, "duplicate": duplicate, "classify": classify, "requests": requests}


class _App:
    """``function_app.py``, with ways to deliver events to it and to delete its results."""

    def __init__(self, connection_string: str) -> None:
        loaded = load_functions(APP_ROOT, {**DEFAULTS, **os.environ})
        (self._function,) = (each for each in loaded if each.name == "classify_uploaded")
        module: Any = sys.modules["function_app"]
        self.classifier = module.model()
        self.threads = worker_threads(os.environ)
        self._invoker = Invoker(APP_ROOT, self.threads)
        clients = connect(Connection(CONNECTION, connection_string=connection_string))
        self._rows = clients.tables.get_table_client(TABLE)
        self._sidecars = clients.blobs.get_container_client(RESULTS)

    def deliver(self, names: list[str]) -> int:
        """Deliver one event for each blob, wait for all functions, and return how many there were."""
        references = {name: partial(blob_reference, self._function, CONNECTION, INCOMING, name) for name in names}
        futures = [self._invoker.submit(self._function, make, name) for name, make in references.items()]
        wait(futures)
        for future in futures:
            future.result()
        return len(names)

    def delete_results(self, names: list[str]) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._delete, names))

    def _delete(self, name: str) -> None:
        address = keys.image_keys(INCOMING, name)
        with suppress(ResourceNotFoundError):
            self._rows.delete_entity(address.partition_key, address.row_key)
        with suppress(ResourceNotFoundError):
            self._sidecars.delete_blob(keys.sidecar_name(name))


@contextmanager
def recorded_requests(services: Mapping[int, str]) -> Iterator[list[str]]:
    """Record the storage requests of this process, in order, each as ``blob GET incoming/a.jpg``.

    Every request passes the standard library's HTTP connection, which is patched for the length of the block.

    Args:
        services: Name of the service at each port of the emulator.
    """
    requests: list[str] = []
    lock = threading.Lock()
    send = http.client.HTTPConnection.putrequest

    def putrequest(self: http.client.HTTPConnection, method: str, url: str, *args: Any, **options: Any) -> None:
        path = unquote(urlsplit(url).path).partition(f"/{ACCOUNT}/")[2]
        with lock:
            requests.append(f"{services.get(self.port, 'other')} {method} {path}")
        send(self, method, url, *args, **options)

    http.client.HTTPConnection.putrequest = putrequest  # type: ignore[method-assign]  # restored below
    try:
        yield requests
    finally:
        http.client.HTTPConnection.putrequest = send  # type: ignore[method-assign]  # the original


def _ports(connection_string: str) -> dict[int, str]:
    """Return the service name for each port of the emulator."""
    parts = dict(part.split("=", 1) for part in connection_string.split(";") if part)
    services = {name: parts[f"{name.capitalize()}Endpoint"] for name in ("blob", "queue", "table")}
    return {urlsplit(url).port or 0: name for name, url in services.items()}
