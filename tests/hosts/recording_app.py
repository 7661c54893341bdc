"""An app with the triggers of ours whose functions only note their calls, and both hosts that can run it.

What a function does beside that is decided by the test: ``Recorder.behave`` may raise, or wait.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import azure.functions as func

# Not under TYPE_CHECKING: the dev host reads the annotation to choose the binding.
from azurefunctions.extensions.bindings.blob import BlobClient  # noqa: TC002

from tests.waiting import until
from tools.devhost.app import read_functions
from tools.devhost.host import DevHost
from tools.devhost.host_json import read_host_json
from tools.webjobs.program import WebJobsHost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

THREADS = 32


@dataclass(frozen=True)
class Call:
    """One invocation. ``key`` is the blob's name or the message's text; ``etag`` is None for a message."""

    function: str
    key: str
    attempt: int
    seconds: float
    etag: str | None = None
    dequeue_count: int | None = None
    container: str | None = None


class Recorder:
    """Notes calls. Thread-safe."""

    def __init__(self, version_of: Callable[[str, str], str]) -> None:
        self._version_of = version_of
        self._lock = threading.Lock()
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._calls: list[Call] = []
        self.behave: Callable[[Call], None] = lambda call: None

    @property
    def calls(self) -> list[Call]:
        with self._lock:
            return list(self._calls)

    def blob(self, container: str, name: str) -> None:
        self._note("classify_uploaded", name, etag=self._version_of(container, name), container=container)

    def message(self, function: str, text: str, dequeue_count: int) -> None:
        self._note(function, text, dequeue_count=dequeue_count)

    def _note(self, function: str, key: str, **facts: Any) -> None:
        with self._lock:
            self._attempts[function, key] += 1
            call = Call(function, key, self._attempts[function, key], _now(), **facts)
            self._calls.append(call)
        self.behave(call)


def _now() -> float:
    return time.monotonic()  # noqa: TID251 - for a lower bound: storage hides a failed message as long on any machine


def recording_app(recorder: Recorder, source: func.BlobSource) -> func.FunctionApp:
    """The four functions of ``function_app.py`` that the extensions trigger, with the same bindings."""
    app = func.FunctionApp()

    @app.blob_trigger(arg_name="blob", path="incoming/{name}", connection="ImageStorage", source=source)
    def classify_uploaded(blob: BlobClient) -> None:
        recorder.blob(blob.container_name, blob.blob_name)

    def note(function: str, message: func.QueueMessage) -> None:
        recorder.message(function, message.get_body().decode(), message.dequeue_count or 0)

    @app.queue_trigger(arg_name="message", queue_name="classify-requests", connection="ImageStorage")
    def classify_requested(message: func.QueueMessage) -> None:
        note("classify_requested", message)

    @app.queue_trigger(arg_name="message", queue_name="webjobs-blobtrigger-poison", connection="ImageStorage")
    def recover_poisoned(message: func.QueueMessage) -> None:
        note("recover_poisoned", message)

    @app.queue_trigger(arg_name="message", queue_name="classify-requests-poison", connection="ImageStorage")
    def record_abandoned(message: func.QueueMessage) -> None:
        note("record_abandoned", message)

    return app


class Host(Protocol):
    """A host that serves the recording app."""

    @property
    def exit_code(self) -> int | None:
        """None while it runs; 0 stopped, 1 ended by itself."""

    def stop(self) -> int:
        """Stop in good order, wait for what runs, and return the exit code."""


class InProcessDevHost:
    """The dev host in this process."""

    def __init__(self, recorder: Recorder, source: func.BlobSource, environ: Mapping[str, str], folder: Path) -> None:
        settings = {**environ, "PYTHON_THREADPOOL_THREAD_COUNT": str(THREADS)}
        functions = read_functions(recording_app(recorder, source), settings)
        self._stopping = threading.Event()
        self._stopped = False
        self._host = DevHost(folder, functions, settings, read_host_json(folder, 1), self._stopping)
        assert self._host.start()

    @property
    def exit_code(self) -> int | None:
        if self._stopping.is_set() and not self._stopped:
            self._stopped = self._host.stop()
        return int(self._host.crashed) if self._stopped else None

    def stop(self) -> int:
        self._stopping.set()
        code = self.exit_code
        assert code is not None
        return code


class Program:
    """``webjobs-host``, its invocations answered by the same recorder."""

    def __init__(
        self, program: Path, recorder: Recorder, source: func.BlobSource, environ: Mapping[str, str], folder: Path
    ) -> None:
        self._recorder = recorder
        self._pool = ThreadPoolExecutor(THREADS)
        self._host = WebJobsHost(
            program,
            [_described(function) for function in recording_app(recorder, source).get_functions()],
            environ,
            folder,
            host_json=json.loads((folder / "host.json").read_text(encoding="utf-8")),
            invoke=self._begin,
            timed_out=lambda function: None,
        )
        self._host.wait_until_ready()

    @property
    def exit_code(self) -> int | None:
        return self._host.exit_code

    def deliver(self, headers: Mapping[str, str], body: str) -> tuple[int, str]:
        reply = self._host.deliver("classify_uploaded", headers, body)
        return reply.status, reply.body

    def stop(self) -> int:
        code = self._host.stop()
        self._pool.shutdown(wait=True)
        return code

    def _begin(self, line: dict[str, Any]) -> None:
        self._pool.submit(self._answer, line)

    def _answer(self, line: dict[str, Any]) -> None:
        error = None
        try:
            self._call(line["invoke"], line["trigger"], line["metadata"])
        except Exception as raised:  # noqa: BLE001 - any failure is the function's
            error = str(raised)
        self._host.answer(line["id"], error)

    def _call(self, function: str, trigger: dict[str, Any], metadata: dict[str, Any]) -> None:
        if "model_binding_data" in trigger:
            reference = json.loads(trigger["model_binding_data"]["content"])
            assert reference["Connection"] == "ImageStorage"
            self._recorder.blob(reference["ContainerName"], reference["BlobName"])
        else:
            self._recorder.message(function, trigger["string"], int(metadata["DequeueCount"]["json"]))


def _described(function: Any) -> dict[str, Any]:
    (binding,) = [json.loads(raw) for raw in function.get_raw_bindings()]
    if binding["type"] == "blobTrigger":
        binding["properties"] = {"SupportsDeferredBinding": True}  # the worker adds this for a parameter of an SDK type
    return {"name": function.get_function_name(), "bindings": [binding]}


def wait_for_end(host: Host) -> int:
    """Wait until a host has ended by itself, and return its exit code."""
    until(lambda: host.exit_code is not None, "the end of the host")
    code = host.exit_code
    assert code is not None
    return code
