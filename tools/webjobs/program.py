"""The ``webjobs-host`` program as a process: Microsoft's WebJobs blob and queue extensions behind two pipes.

It reads triggers from storage as the Functions host does and writes one JSON object per line. This module starts it,
answers it, delivers Event Grid requests to its webhook, and ends it. What an invocation means is the caller's business.
The program is not part of this repository: ``find_program`` says where it is looked for.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from inference.errors import TransientError
from storage.settings import APP_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Invoke = Callable[[dict[str, Any]], None]

LOCATION = "WEBJOBS_HOST"
MISSING = (
    "The program webjobs-host (Microsoft's WebJobs trigger extensions as one Linux program) is not on this machine: "
    f"set {LOCATION} to its path, or put it at ../shared/webjobs-host/webjobs-host, as an executable file."
)
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_REPLY_SECONDS = 60.0


class Reply(NamedTuple):
    """What the webhook answered to an Event Grid request: the HTTP status and the body."""

    status: int
    body: str


def find_program(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the program that ``WEBJOBS_HOST`` names, else ``../shared/webjobs-host/webjobs-host``; None without it."""
    named = environ.get(LOCATION, "").strip()
    path = Path(named) if named else APP_ROOT.parent / "shared" / "webjobs-host" / "webjobs-host"
    return path if path.is_file() and os.access(path, os.X_OK) else None


class WebJobsHost:
    """One run of the program. Thread-safe.

    Args:
        program: The executable.
        functions: ``{"name": ..., "bindings": [raw binding]}`` for each function, as the worker indexed them.
        environ: The app settings; nothing else of this process's environment is handed on.
        folder: Where ``functions.json``, ``host.json`` and the log are written.
        host_json: The app's ``host.json``, as it is or changed.
        invoke: Called on the reading thread with each invocation: ``id``, ``invoke``, ``trigger`` and ``metadata``.
            It must return at once; ``answer`` is called later, from any thread.
        timed_out: Called with the function's name when the program ended an invocation for ``functionTimeout``.
    """

    def __init__(  # noqa: PLR0913 - what a run is made of, named at its one call
        self,
        program: Path,
        functions: Sequence[Mapping[str, Any]],
        environ: Mapping[str, str],
        folder: Path,
        *,
        host_json: Mapping[str, Any],
        invoke: Invoke,
        timed_out: Callable[[str], None],
    ) -> None:
        described, settings = folder / "functions.json", folder / "host.json"
        described.write_text(json.dumps(functions), encoding="utf-8")
        settings.write_text(json.dumps(host_json), encoding="utf-8")
        self.log_file = folder / "webjobs-host.log"
        self._invoke, self._timed_out = invoke, timed_out
        self._replies: dict[str, queue.SimpleQueue[Reply]] = {}
        self._deliveries = itertools.count()
        self._ready, self._lock = threading.Event(), threading.Lock()
        with self.log_file.open("ab") as errors:
            self._process = subprocess.Popen(
                [str(program), str(described), str(settings)],
                env={"PATH": os.environ.get("PATH", ""), "HOME": str(folder), **environ},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._reader = threading.Thread(target=self._read, name="webjobs-host", daemon=True)
        self._reader.start()

    @property
    def process_id(self) -> int:
        """Of the program."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """``None`` while it runs; 0 stopped, 1 shut down by itself, negative when a signal killed it."""
        return self._process.poll()

    @property
    def log(self) -> str:
        """What the program wrote to stderr, in all runs with this folder."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def wait_until_ready(self) -> None:
        """Wait until its listeners run.

        Raises:
            TransientError: The program ended, or was not ready in time; the sentence holds the end of its log.
        """
        if not self._ready.wait(_START_SECONDS) or self.exit_code is not None:
            raise TransientError(f"webjobs-host did not start (exit {self.exit_code}): {self.log[-2000:]}")

    def answer(self, invocation_id: str, error: str | None = None) -> None:
        """End an invocation: well, or with an error text. An answer to a program that is gone is dropped."""
        self._write({"id": invocation_id} | ({} if error is None else {"error": error}))

    def deliver(self, function: str, headers: Mapping[str, str], body: str) -> Reply:
        """Post an Event Grid request to the webhook and return the answer.

        Raises:
            TransientError: The program is gone or did not answer.
        """
        key = f"delivery-{next(self._deliveries)}"
        replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self._replies[key] = replies
        self._write({"id": key, "event": {"function": function, "headers": dict(headers), "body": body}})
        try:
            return replies.get(timeout=_REPLY_SECONDS)
        except queue.Empty:
            raise TransientError("The webhook of webjobs-host did not answer.") from None
        finally:
            del self._replies[key]

    def stop(self) -> int:
        """Let running invocations end, receive nothing more, and return the exit code."""
        self._write({"stop": True})
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self._ended()

    def kill(self) -> int:
        """End it as a crash does; what it had received stays hidden in its queue for ten minutes."""
        self._process.kill()
        return self._ended()

    def _ended(self) -> int:
        code = self._process.wait()
        self._reader.join(_STOP_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                try:
                    pipe.close()
                except OSError:  # the unflushed rest has no reader
                    continue
        return code

    def _write(self, line: Mapping[str, Any]) -> None:
        pipe: IO[bytes] | None = self._process.stdin
        try:
            with self._lock:
                if pipe is not None:
                    pipe.write(json.dumps(line).encode() + b"\n")
                    pipe.flush()
        except (BrokenPipeError, ValueError):
            return  # the program is gone; its exit code says so

    def _read(self) -> None:
        for raw in self._process.stdout or ():
            if not raw.endswith(b"\n"):
                break  # it was killed while it wrote this line
            line = json.loads(raw)
            if "invoke" in line:
                self._invoke(line)
            elif "reply" in line:
                if waiting := self._replies.get(str(line["reply"])):
                    waiting.put(Reply(int(line["status"]), line["body"] or ""))
            elif "timeout" in line:
                self._timed_out(str(line["timeout"]))
            elif "ready" in line:
                self._ready.set()
        self._ready.set()  # the pipe is closed: waiting is over
