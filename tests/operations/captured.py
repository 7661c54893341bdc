"""Captures the rows that Application Insights would hold after every outcome that the app can log.

The functions run against Azurite, behind the chaos proxy where storage has to fail. As in the Functions host, a log
line becomes a row only within an invocation, with the function's name and the level, and a raised error becomes an
exception row in the worker's format.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any

import azure.functions as func
import pytest
from azure.storage.blob import BlobClient, BlobServiceClient

from inference.errors import ClassificationError
from tests.conftest import Names
from tests.test_function_app import load
from tests.test_logs import Ear, benched, with_key
from tools.chaos.faults import FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.test_logs import Bench
    from tools.azurite.azurite import Azurite

SEVERITY = {logging.DEBUG: 0, logging.INFO: 1, logging.WARNING: 2, logging.ERROR: 3, logging.CRITICAL: 4}

HOSTILE = [
    'status=rejected" outcome=gone.jpg',
    "a label=",
    "a model=.jpg",
    "line\u2028break\u0085 total_ms=9 .jpg",
    ' reason=empty detail="x" attempt=7 queue_delay_ms=1.jpg',
    "Füchse 🦊/\u202egpj.exe",
    "error=nothing do=redrive",
    '\' | union * | "".jpg',
    "a\\ (503 ServerBusy). b.jpg",
]


@dataclass
class Rows(logging.Handler):
    """A log handler that collects rows of ``traces`` and ``exceptions``."""

    traces: list[dict[str, Any]] = field(default_factory=list)
    exceptions: list[dict[str, Any]] = field(default_factory=list)
    current: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        super().__init__(logging.INFO)

    __hash__ = logging.Handler.__hash__

    @contextmanager
    def invocation(self, function: str) -> Iterator[None]:
        self.current.function = function
        try:
            yield
        except ClassificationError as error:
            stack = "".join(traceback.format_exception(error))
            message = f"Result: Failure\nException: {type(error).__name__}: {error}\nStack: {stack}"
            outer = f"Exception while executing function: Functions.{function}"
            row = self._row("exception", outerMessage=outer, innermostMessage=message)
            self.exceptions.append({**row, "type": "Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException"})
        finally:
            self.current.function = ""

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(self.current, "function", "") and record.name.partition(".")[0] in {"function_app", "storage"}:
            self.traces.append(self._row("trace", message=record.getMessage(), severityLevel=SEVERITY[record.levelno]))

    def _row(self, kind: str, **columns: Any) -> dict[str, Any]:
        return {
            "timestamp": datetime.now(UTC).replace(tzinfo=None),
            "itemType": kind,
            "itemCount": 1,
            "operation_Name": self.current.function,
            "cloud_RoleInstance": f"instance-{threading.get_ident() % 2}",
            "_BilledSize": float(len(json.dumps(columns))),
            **columns,
        }


@dataclass
class Scenario:
    """Runs the app through every outcome.

    Attributes:
        bench: The app and its storage.
        rows: The rows so far.
    """

    bench: Bench
    rows: Rows

    def call(self, function: str, argument: object) -> None:
        with self.rows.invocation(function):
            getattr(self.bench.app, function)(argument)

    def upload(self, name: str, content: bytes) -> BlobClient:
        return self.bench.upload(name, content)

    @contextmanager
    def failing(self, fault: FaultKind, method: str, path: str) -> Iterator[None]:
        self.bench.trouble.concerns = lambda call: call.method == method and path in call.path
        self.bench.trouble.fault = fault
        try:
            yield
        finally:
            self.bench.trouble.fault = None

    def run(self, photo: bytes) -> None:
        """Cause every line that the app can log about images, with every outcome."""
        for name in ("first.jpg", "trap 7/second.jpg", *HOSTILE):
            self.call("classify_uploaded", self.upload(name, photo))
        for name, content in (("notes.txt", b"Buy milk.\n"), ("empty.jpg", b""), (f"cut{HOSTILE[4]}", photo[:900])):
            self.call("classify_uploaded", self.upload(name, content))
        self.call("classify_uploaded", self.upload("first.jpg", photo[::-1]))
        self.call("classify_requested", self.bench.message("trap 7/second.jpg", "never was.jpg"))
        results = self.bench.settings["RESULTS_CONTAINER"]
        sidecar = BlobClient.from_connection_string(self.bench.direct, results, "notes.txt.json")
        self.call("classify_uploaded", self.upload("copied.json", sidecar.download_blob().readall()))
        self.call("classify_uploaded", self._blob_of_other_container())
        self.call("classify_requested", func.QueueMessage(id="a-message", body=b"please classify a.jpg"))
        self._run_failures(photo)
        self._run_without_model()
        self.upload("overlooked.jpg", photo)
        later = replace(self.bench.app.stores, now=lambda: datetime.now(UTC) + timedelta(hours=1))
        vars(self.bench.app)["stores"] = later
        self.call("reconcile", None)

    def _run_without_model(self) -> None:
        """A second worker process of the app, whose model folder does not exist."""
        with pytest.MonkeyPatch.context() as patch:
            app = load(patch, **{**self.bench.settings, "MODEL_DIR": "models/not there"})
            with self.rows.invocation("classify_uploaded"):
                incoming = self.bench.settings["INCOMING_CONTAINER"]
                app.classify_uploaded(BlobClient.from_connection_string(self.bench.direct, incoming, "first.jpg"))
            app.clients.close()

    def _blob_of_other_container(self) -> BlobClient:
        """A blob of another container, whose name begins with the name of the app's container."""
        return BlobClient.from_connection_string(
            self.bench.direct, self.bench.settings["INCOMING_CONTAINER"] + "-old", "a b=c.jpg"
        )

    def _run_failures(self, photo: bytes) -> None:
        incoming = self.bench.settings["INCOMING_CONTAINER"]
        self.upload("stuck.jpg", photo)
        self.upload(HOSTILE[6], photo)
        with self.failing(FaultKind.BUSY, "GET", f"/{incoming}/"):
            self.call("classify_uploaded", BlobClient.from_connection_string(self.bench.direct, incoming, "stuck.jpg"))
            for attempt in (0, 1):
                message = self.bench.message("stuck.jpg", HOSTILE[6], attempt=attempt)
                self.call("classify_requested", message)
        with self.failing(FaultKind.BUSY, "HEAD", f"/{incoming}/"):
            self.call("record_abandoned", self.bench.message("trap 7/second.jpg"))
        poison = json.dumps({"ContainerName": incoming, "BlobName": "stuck.jpg"}).encode()
        self.call("recover_poisoned", func.QueueMessage(body=poison))
        self.upload("deadly.jpg", photo)
        self.call("record_abandoned", self.bench.message("deadly.jpg"))


def capture_all_outcomes(azurite: Azurite, photo: bytes) -> Rows:
    """Run the scenario as in a real worker process, and restore the logging of this process."""
    rows = Rows()
    root = logging.getLogger()
    level = root.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "proxy_worker", ModuleType("proxy_worker"))
        patch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", "2")  # for a settings_warning
        root.addHandler(rows)
        root.setLevel(logging.INFO)
        try:
            no_capture: Any = Ear(None, None)  # type: ignore[arg-type]
            with benched(azurite, Names(), patch, no_capture, with_key) as (bench, _):
                service = BlobServiceClient.from_connection_string(azurite.connection_string)
                service.create_container(bench.settings["INCOMING_CONTAINER"] + "-old")
                Scenario(bench, rows).run(photo)
        finally:
            root.removeHandler(rows)
            root.setLevel(level)
            for name in ("function_app", "storage"):
                for handler in list(logging.getLogger(name).handlers):
                    logging.getLogger(name).removeHandler(handler)
    return rows


def lines(rows: Rows, event: str) -> list[str]:
    """The messages of one event."""
    return [row["message"] for row in rows.traces if row["message"].split()[0] == event]
