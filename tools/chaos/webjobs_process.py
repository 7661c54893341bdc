"""Runs the app under Microsoft's trigger extensions, and kills now the host, now the worker, with SIGKILL."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError, TransientError
from tools.chaos.host_process import count_events
from tools.webjobs.app_host import AppHost
from tools.webjobs.program import MISSING, find_program
from tools.webjobs.worker import environment_of, find_python

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

_PAUSE_SECONDS = (4.0, 15.0)  # between a start and the next kill
_HOST_PAUSE_SECONDS = (40.0, 80.0)  # between two kills of the host; each hides what it has received for ten minutes
_POLL_SECONDS = 1.0
_START_SECONDS = 60.0
_STARTS = 10


class WebJobsProcess:
    """``webjobs-host`` and the worker, restarted after each kill and when one of them ends by itself.

    Attributes:
        kills: How often the host was killed.
        worker_kills: How often the worker was killed.
        exits: The last line of the host's log at each time when it ended by itself, as it does when it has lost the
            lock of a listener.
        failed_starts: How often a host that was started did not become ready.
        crashes: 0. An end of the host by itself is no fault of the app, see ``exits``.
    """

    def __init__(self, program: Path, python: Path, environ: dict[str, str], folder: Path, seed: int) -> None:
        self._random = random.Random(f"kills/{seed}")
        self._killing, self._closing = threading.Event(), threading.Event()
        self._killing.set()
        self._folder = folder
        self.kills = self.worker_kills = self.failed_starts = self.crashes = 0
        self.exits: list[str] = []
        self._app = self._first_start(program, python, environ)
        self._thread = threading.Thread(target=self._kill_repeatedly, name="killer", daemon=True)
        self._thread.start()

    def stop_kills(self) -> None:
        """Stop the kills. A host that ends by itself is still started again."""
        self._killing.clear()

    def count_events(self) -> Counter[str]:
        """Count the events in the worker's log, see ``tools.chaos.host_process.count_events``."""
        return count_events(self._folder / "worker.log")

    def close(self, log: Path) -> None:
        """Stop host and worker, and append what both have logged to ``log``."""
        self._closing.set()
        self._thread.join()
        self._app.close()
        with log.open("ab") as output:
            output.write(self._app.host.log_file.read_bytes())
            output.write(self._app.worker_log.encode())

    def _first_start(self, program: Path, python: Path, environ: dict[str, str]) -> AppHost:
        for _ in range(_STARTS):  # a start can fail under the faults
            try:
                return AppHost(program, python, environ, self._folder)
            except TransientError:
                self.failed_starts += 1
        raise TransientError(f"webjobs-host did not start in {_STARTS} attempts.")

    def _kill_repeatedly(self) -> None:
        now = time.monotonic()
        next_kill, next_host_kill = now + self._draw(_PAUSE_SECONDS), now + self._draw(_HOST_PAUSE_SECONDS)
        while not self._closing.wait(_POLL_SECONDS):
            now = time.monotonic()
            if self._app.host.exit_code is not None:
                self.exits.append(self._app.host.log.rstrip().rpartition("\n")[2])
                self._restart_host()
            elif not self._killing.is_set() or now < next_kill:
                continue
            elif now >= next_host_kill:
                self.kills += 1
                self._restart_host()
                next_host_kill = time.monotonic() + self._draw(_HOST_PAUSE_SECONDS)
            else:
                self.worker_kills += 1
                self._kill_worker()
            next_kill = time.monotonic() + self._draw(_PAUSE_SECONDS)

    def _kill_worker(self) -> None:
        """Kill the worker and wait until the next one runs: it must live for a while before it is killed too."""
        starts = self._app.worker_starts
        self._app.kill_worker()
        deadline = time.monotonic() + _START_SECONDS
        while self._app.worker_starts == starts and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _restart_host(self) -> None:
        while not self._closing.is_set():
            try:
                self._app.restart_host()
            except TransientError:
                self.failed_starts += 1
            else:
                return

    def _draw(self, bounds: tuple[float, float]) -> float:
        return self._random.uniform(*bounds)


@contextmanager
def running_webjobs(environ: dict[str, str], log: Path, seed: int) -> Iterator[WebJobsProcess]:
    """Run the app under the real extensions for the length of the block; kills go on until ``stop_kills``.

    Raises:
        ConfigurationError: The program or Python 3.13 is missing.
    """
    program, base = find_program(), find_python()
    if program is None:
        raise ConfigurationError(MISSING)
    if base is None:
        raise ConfigurationError(
            "The worker library of Azure Functions needs Python 3.13, which is not on this machine."
        )
    with tempfile.TemporaryDirectory(prefix="webjobs-") as folder:
        host = WebJobsProcess(program, environment_of(base), environ, Path(folder), seed)
        try:
            yield host
        finally:
            host.close(log)
