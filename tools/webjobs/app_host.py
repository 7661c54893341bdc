"""The whole app under the real extensions: ``webjobs-host`` calls, the real Python worker answers.

    storage  <-->  webjobs-host  --invoke-->  this module  --forward-->  worker (Python 3.13)  --  function_app.py

What the Functions host does between the two is done here: functions are indexed by the worker before the listeners
start; a worker that dies fails its invocations and is started again; ``functionTimeout`` restarts the worker, which
fails everything else that runs in it (webjobs-host/README.md, "functionTimeout").
"""

from __future__ import annotations

import itertools
import json
import threading
from typing import TYPE_CHECKING, Any, Self

from inference.errors import TransientError
from storage.settings import APP_ROOT
from tools.webjobs.program import Reply, WebJobsHost
from tools.webjobs.worker import Worker, start_worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

_DIED = "The worker process ended: its invocations have failed."


def app_host_json() -> dict[str, Any]:
    """Return the app's own ``host.json``."""
    content: dict[str, Any] = json.loads((APP_ROOT / "host.json").read_text(encoding="utf-8"))
    return content


class AppHost:
    """The app, running. Use it in a ``with`` block. Thread-safe.

    Args:
        program: ``webjobs-host``, as ``find_program`` returns it.
        python: A Python 3.13 with the app's packages and the worker library, as ``environment_of`` builds it.
        settings: The app settings; they are the environment of host and worker alike.
        folder: Where logs and generated files are kept.
        host_json: In place of the app's own.

    The program runs no timers: ``reconcile`` is never called.
    """

    def __init__(
        self,
        program: Path,
        python: Path,
        settings: Mapping[str, str],
        folder: Path,
        *,
        host_json: Mapping[str, Any] | None = None,
    ) -> None:
        self._program, self._python, self._settings, self._folder = program, python, dict(settings), folder
        self._host_json = app_host_json() if host_json is None else host_json
        self._lock = threading.RLock()
        self._starting = threading.Lock()
        self._calls = itertools.count()
        self._open: dict[str, str] = {}  # call of the worker -> invocation of the host
        self._invoked: dict[str, dict[str, Any]] = {}  # by the id that the host gave
        self._endings: list[str | None] = []
        self._stopping = False
        self.worker_starts = 0
        self._start_worker()
        try:
            self.host = self._start_host()
        except TransientError:
            self._stop_worker()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def functions(self) -> list[dict[str, Any]]:
        """The app's functions as the worker indexed them, as ``WebJobsHost`` takes them."""
        return list(self._functions)

    @property
    def invocations(self) -> list[dict[str, Any]]:
        """Every invocation so far as the host wrote it, with ``error`` (text or None) once it has ended."""
        with self._lock:
            return [dict(each) for each in self._invoked.values()]

    @property
    def endings(self) -> list[str | None]:
        """How each invocation that has ended did so, in order: None for well, or the error."""
        with self._lock:
            return list(self._endings)

    @property
    def worker_log(self) -> str:
        """What the worker wrote to stderr in all of its lives: the app's log lines are here."""
        return (self._folder / "worker.log").read_text(encoding="utf-8", errors="replace")

    @property
    def process_ids(self) -> tuple[int, int]:
        """Of the host and of the worker that runs now."""
        return self.host.process_id, self._worker.process_id

    def deliver(
        self, events: object, *, event_type: str = "Notification", function: str = "classify_uploaded"
    ) -> Reply:
        """Post Event Grid events (anything that JSON holds) to the host's webhook."""
        return self.host.deliver(function, {"aeg-event-type": event_type}, json.dumps(events))

    def kill_worker(self) -> None:
        """End the worker as a crash does; it is started again at once."""
        with self._starting:  # a worker that ends during its start would have no successor
            self._worker.kill()

    def restart_host(self, *, kill: bool = True) -> None:
        """End the host, by a kill or in good order, and start another with the same settings. The worker stays.

        Raises:
            TransientError: The other did not start; it may be tried again.
        """
        self.host.kill() if kill else self.host.stop()
        with self._lock:
            self._open.clear()
        self.host = self._start_host()

    def close(self) -> int:
        """Stop the host in good order, then the worker; return the host's exit code."""
        code = self.host.stop() if self.host.exit_code is None else self.host.kill()
        self._stop_worker()
        return code

    def _stop_worker(self) -> None:
        with self._lock:
            self._stopping = True
        self._worker.kill()
        self._answers.join()

    def _start_host(self) -> WebJobsHost:
        host = WebJobsHost(
            self._program,
            self._functions,
            self._settings,
            self._folder,
            host_json=self._host_json,
            invoke=self._invoke,
            timed_out=lambda _function: self.kill_worker(),
        )
        try:
            host.wait_until_ready()
        except TransientError:
            host.kill()
            raise
        return host

    def _start_worker(self) -> None:
        with self._starting:
            self._worker: Worker = start_worker(self._python, self._settings, self._folder / "worker.log")
            self._worker.must("start", directory=str(APP_ROOT))
            indexed = self._worker.must("index")["functions"]
            self._functions = [{"name": name, "bindings": each["bindings"]} for name, each in indexed.items()]
            self._known = {name: (each["id"], each["bindings"][0]["name"]) for name, each in indexed.items()}
            self._answers = threading.Thread(target=self._read_answers, args=(self._worker,), daemon=True)
            self._answers.start()
            self.worker_starts += 1

    def _invoke(self, line: dict[str, Any]) -> None:
        """Hand an invocation to the worker; runs on the thread that reads the host's lines."""
        with self._lock:  # while a worker is being replaced, invocations wait here
            call = f"call-{next(self._calls)}"
            self._open[call] = line["id"]
            self._invoked[line["id"]] = line
            function_id, parameter = self._known[line["invoke"]]
            try:
                self._worker.send(
                    "forward",
                    call=call,
                    id=function_id,
                    parameter=parameter,
                    trigger=line["trigger"],
                    metadata=line["metadata"],
                )
            except BrokenPipeError:
                return  # the reader fails all open calls and starts another process

    def _read_answers(self, worker: Worker) -> None:
        for answer in worker.answers():
            with self._lock:
                invocation = self._open.pop(answer.get("call", ""), None)
            if invocation is not None:
                error = None if answer["status"] == "Success" else answer["message"] or "It failed."
                self._end(invocation, error)
        with self._lock:
            failed = list(self._open.values())
            self._open.clear()
            if not self._stopping:
                self._start_worker()
        for invocation in failed:
            self._end(invocation, _DIED)

    def _end(self, invocation: str, error: str | None) -> None:
        with self._lock:
            self._invoked[invocation]["error"] = error
            self._endings.append(error)
        self.host.answer(invocation, error)
