"""The dev host as a process that is killed again and again, without a warning, and started again at once."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from storage.settings import APP_ROOT, DEFAULTS
from tools.chaos.images import MAX_BYTES
from tools.chaos.workload import HOST_ID, INCOMING, RESULTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LIFE_SECONDS = (2.0, 8.0)
_UP_SECONDS = 30.0
_STOP_SECONDS = 30.0


def environment(connection_string: str, *, event_grid: bool = False) -> dict[str, str]:
    """The settings of the run: delays scaled down, so that an hour's patience passes in seconds."""
    return {
        **{name: value for name, value in os.environ.items() if name not in DEFAULTS},
        **DEFAULTS,
        "AzureWebJobsStorage": connection_string,
        "ImageStorage": connection_string,
        "AzureFunctionsWebHost__hostid": HOST_ID,
        "INCOMING_CONTAINER": INCOMING,
        "RESULTS_CONTAINER": RESULTS,
        "BLOB_TRIGGER_SOURCE": "EventGrid" if event_grid else "LogsAndContainerScan",
        "MAX_IMAGE_BYTES": str(MAX_BYTES),
        "DEV_HOST_VISIBILITY_SECONDS": "4",
        "RETRY_DELAYS_SECONDS": "2,4,8",
        "PYTHON_THREADPOOL_THREAD_COUNT": "12",
        "RECONCILE_SCHEDULE": "0 0 0 1 1 *",  # New Year: nothing may be mended unseen
    }


class Victim:
    """The host process: started, killed, started. Its log is one file for all its lives."""

    def __init__(self, environ: dict[str, str], log: Path, seed: int) -> None:
        self._environ = environ
        self._log = log
        self._choice = random.Random(f"kills/{seed}")
        self._calm = threading.Event()
        self._killed_once = threading.Event()
        self._thread = threading.Thread(target=self._suffer, name="killer", daemon=True)
        self._process = self._started()
        self.kills = 0
        self.deaths = 0
        self._thread.start()

    def spare(self) -> None:
        """Kill no more, though once at least; the host that runs now stays."""
        self._killed_once.wait(_UP_SECONDS)
        self.end_the_storm()

    def end_the_storm(self) -> None:
        """Kill no more."""
        self._calm.set()
        self._thread.join()

    def close(self) -> int:
        """Ask the host to end and return its exit code."""
        self.end_the_storm()
        self._process.terminate()
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def told(self) -> Counter[str]:
        """How often each event, and each ending of an image, is in the log."""
        events: Counter[str] = Counter()
        with self._log.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                events.update(match.removeprefix("outcome=") for match in _TOLD.findall(line))
        return events

    def _suffer(self) -> None:
        while not self._calm.is_set():
            self._wait_until_up()
            if self._calm.wait(self._choice.uniform(*_LIFE_SECONDS)):
                return
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGKILL)
                self.kills += 1
                self._killed_once.set()
            else:
                self.deaths += 1
            self._process.wait()
            self._process = self._started()

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + _UP_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None and not self._calm.is_set():
            with self._log.open("rb") as log:
                log.seek(self._begins_at)
                if b"The host is up." in log.read():
                    return
            time.sleep(0.05)

    def _started(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            self._begins_at = output.tell()
            return subprocess.Popen(
                [sys.executable, "-m", "tools", "host"],
                cwd=APP_ROOT,
                env=self._environ,
                stdout=output,
                stderr=subprocess.STDOUT,
            )


_TOLD = re.compile(
    r"(?<= )(?:outcome=\w+|image_not_settled|image_delayed|image_failed|message_poisoned|invocation_failed)(?= )"
)


@contextmanager
def suffering(environ: dict[str, str], log: Path, seed: int) -> Iterator[Victim]:
    """Run the host for the length of the block, killing it now and then until it is spared."""
    victim = Victim(environ, log, seed)
    try:
        yield victim
    finally:
        victim.close()
