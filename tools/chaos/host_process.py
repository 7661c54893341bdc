"""Runs the dev host as a process, kills it with SIGKILL every few seconds and starts it again."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tools.chaos.images import MAX_BYTES
from tools.chaos.storage_names import HOST_ID, INCOMING, RESULTS
from tools.devhost import process

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

_UPTIME_SECONDS = (2.0, 8.0)  # between start and kill, drawn uniformly
_START_SECONDS = 30.0
_EVENT = re.compile(
    r"(?<=[ :])(?:outcome=\w+|image_(?:attempt_failed|retry_queued|failed)|message_poisoned|invocation_failed)(?= )"
)


def host_environment(connection_string: str, *, event_grid: bool = False) -> dict[str, str]:
    """Return the host's environment for the run."""
    return process.environment(
        connection_string,
        AzureFunctionsWebHost__hostid=HOST_ID,
        INCOMING_CONTAINER=INCOMING,
        RESULTS_CONTAINER=RESULTS,
        BLOB_TRIGGER_SOURCE="EventGrid" if event_grid else "LogsAndContainerScan",
        MAX_IMAGE_BYTES=str(MAX_BYTES),
        DEV_HOST_VISIBILITY_SECONDS="4",
        PYTHON_THREADPOOL_THREAD_COUNT="12",
        RECONCILE_SCHEDULE="0 0 0 1 1 *",  # once a year: the timer must not repair anything during the run
    )


class HostProcess:
    """The host, restarted after each kill. All its processes append to one log file.

    Attributes:
        kills: How often it was killed.
        worker_kills: 0, because the worker is part of this process.
        crashes: How often it ended by itself, which is a fault of the app.
    """

    def __init__(self, environ: dict[str, str], log: Path, seed: int) -> None:
        self._environ = environ
        self._log = log
        self._random = random.Random(f"kills/{seed}")
        self._stopping = threading.Event()
        self._killed_once = threading.Event()
        self._thread = threading.Thread(target=self._kill_repeatedly, name="killer", daemon=True)
        self._process = self._start()
        self.kills = 0
        self.worker_kills = 0
        self.crashes = 0
        self.exits: list[str] = []
        self._thread.start()

    def stop_kills(self) -> None:
        """Stop killing the host, after at least one kill; the running process continues."""
        self._killed_once.wait(_START_SECONDS + max(_UPTIME_SECONDS))
        self._join_killer()

    def close(self) -> int:
        """Ask the host to stop and return its exit code."""
        self._join_killer()
        return process.stop(self._process)

    def count_events(self) -> Counter[str]:
        """Count the log's events, see ``count_events``."""
        return count_events(self._log)

    def _join_killer(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _kill_repeatedly(self) -> None:
        while not self._stopping.is_set():
            self._wait_until_started()
            if self._stopping.wait(self._random.uniform(*_UPTIME_SECONDS)):
                return
            if self._process.poll() is None:
                self._process.kill()
                self.kills += 1
                self._killed_once.set()
            else:
                self.crashes += 1
            self._process.wait()
            self._process = self._start()

    def _wait_until_started(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None and not self._stopping.is_set():
            with self._log.open("rb") as log:
                log.seek(self._log_start)
                if b"The host is up." in log.read():
                    return
            time.sleep(0.05)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            self._log_start = output.tell()
            return process.start(self._environ, output)


def count_events(log: Path) -> Counter[str]:
    """Count the app's events in a log, with finished images by outcome."""
    events: Counter[str] = Counter()
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            events.update(match.removeprefix("outcome=") for match in _EVENT.findall(line))
    return events


@contextmanager
def running_host(environ: dict[str, str], log: Path, seed: int) -> Iterator[HostProcess]:
    """Run the host for the length of the block; kills go on until ``stop_kills``."""
    host = HostProcess(environ, log, seed)
    try:
        yield host
    finally:
        host.close()
