"""Runs the whole worker under load: the real worker library on Python 3.13 with the function app, on Azurite."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from azure.storage.blob import BlobServiceClient

from storage.clients import connect
from storage.connection import Connection
from storage.results.record import Image
from storage.results.store import Results
from storage.settings import DEFAULTS
from tests.soak.memory_limit import MemoryLimit, memory_limit
from tools.azurite import azurite
from tools.webjobs.worker import ROOT, Worker, environment_of, find_python, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azure.storage.blob import ContainerClient

INCOMING = "incoming"
NO_LIMIT_BYTES = 1 << 40


@dataclass
class SoakWorker:
    """A worker that has indexed the app, with its storage."""

    worker: Worker
    limit: MemoryLimit
    incoming: ContainerClient
    results: Results
    function: str

    def classify(self, names: list[str]) -> list[str]:
        """Invoke the upload function for all names at once; exits the run if an invocation fails."""
        answer = self.worker.ask("together", id=self.function, container=INCOMING, blobs=names)
        if answer["succeeded"] != len(names):
            sys.exit(f"{len(names) - answer['succeeded']} of {len(names)} invocations failed: {answer['failures'][:3]}")
        return names

    def outcomes(self, names: list[str]) -> dict[str, int]:
        """Count the rows by ``classified`` or the reason of the rejection."""
        counted: dict[str, int] = {}
        for name in names:
            row = self.results.read_row(Image(INCOMING, name))
            record = row.record if row else None
            outcome = "no row" if record is None else record.reason or str(record.status)
            counted[outcome] = counted.get(outcome, 0) + 1
        return counted


@contextmanager
def soak_worker(
    settings: Mapping[str, str], limit_bytes: int = NO_LIMIT_BYTES, *, in_memory: bool = True
) -> Iterator[SoakWorker]:
    """Start Azurite and a worker; the memory limit applies to the worker only.

    Use Azurite in memory for many small blobs, because on disk it rewrites its whole index often, and on disk for large
    blobs.
    """
    base = find_python()
    if base is None:
        sys.exit("Python 3.13 is not on this machine, and the worker library runs on nothing older.")
    python = environment_of(base)
    with tempfile.TemporaryDirectory(prefix="soak-") as name, memory_limit(limit_bytes) as limit:
        folder = Path(name)
        with azurite.running(folder / "storage", in_memory=in_memory) as emulator:
            text = emulator.connection_string
            incoming = BlobServiceClient.from_connection_string(text).create_container(INCOMING)
            environ = {**DEFAULTS, "AzureWebJobsStorage": text, "ImageStorage": text, **settings}
            clients = connect(Connection("ImageStorage", connection_string=text))
            with running(python, environ, folder / "log", before=limit.prefix) as worker:
                limit.watch(worker.process_id)
                answer = worker.ask("start", directory=str(ROOT))
                if answer["status"] != "Success":
                    sys.exit(answer["trace"])
                results = Results(clients, table=environ["RESULTS_TABLE"], container=environ["RESULTS_CONTAINER"])
                yield SoakWorker(worker, limit, incoming, results, worker.ids()["classify_uploaded"])
            clients.close()
