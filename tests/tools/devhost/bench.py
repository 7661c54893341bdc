"""A sample function app in a folder of its own, and the host serving it as a process, as a person would run it."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from tests.waiting import DEADLINE_SECONDS, until

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from azure.storage.queue import QueueClient

    from tools.azurite.azurite import Azurite

ROOT = Path(__file__).resolve().parents[3]


class RunningHost:
    """``python -m tools host`` on a folder, its log in a file."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._log = folder / f"host-{uuid.uuid4().hex[:8]}.log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tools", "host"],
                cwd=folder,
                env=environ,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def calls(self, event: str) -> list[dict[str, str]]:
        """The sample app's own lines for one event: ``event key=value ...``."""
        lines = re.findall(rf"\] {event} (.*)", self.log)
        return [dict(pair.split("=", 1) for pair in line.split(" | ")) for line in lines]

    def says(self, text: str, times: int = 1) -> None:
        until(
            lambda: self.log.count(text) >= times or self.process.poll() is not None,
            f"{text!r} in the log",
            evidence=lambda: self.log,
        )
        assert self.log.count(text) >= times, self.log

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)


class Bench:
    """One sample app, its storage, and hosts on it that end with the test."""

    def __init__(self, folder: Path, azurite: Azurite) -> None:
        self.folder = folder
        self.unique = uuid.uuid4().hex[:12]
        self.host_id = f"host{self.unique}"
        self.incoming = f"in-{self.unique}"
        self.jobs = f"jobs-{self.unique}"
        self.connection = azurite.connection_string
        self._blobs = BlobServiceClient.from_connection_string(self.connection)
        self._queues = QueueServiceClient.from_connection_string(self.connection)
        self._hosts: list[RunningHost] = []

    def app(self, source: str) -> None:
        (self.folder / "function_app.py").write_text(source, encoding="utf-8")

    def release(self) -> None:
        """Let the sample app's slow functions end, those of later hosts too."""
        (self.folder / "released").touch()

    def host(self, *, wait: bool = True, **settings: str) -> RunningHost:
        ours = {
            "AzureWebJobsStorage": self.connection,
            "ImageStorage": self.connection,
            "AzureFunctionsWebHost__hostid": self.host_id,
            "INCOMING_CONTAINER": self.incoming,
            "JOBS": self.jobs,
            "DEV_HOST_VISIBILITY_SECONDS": "600",  # longer than a test: nothing is delivered again because it is slow
            "PYTHONPATH": str(ROOT),
        }
        host = RunningHost(self.folder, {**os.environ, **ours, **settings})
        self._hosts.append(host)
        if wait:
            host.says("The host is up.")
        return host

    def container(self, name: str | None = None) -> ContainerClient:
        return self._blobs.get_container_client(name or self.incoming)

    def queue(self, name: str) -> QueueClient:
        return self._queues.get_queue_client(name)

    @property
    def internal(self) -> QueueClient:
        return self.queue(f"azure-webjobs-blobtrigger-{self.host_id}")

    def send_job(self, body: bytes) -> None:
        self.queue(self.jobs).send_message(base64.b64encode(body).decode())

    def close(self) -> None:
        for host in self._hosts:
            if host.process.poll() is None:
                host.process.kill()
                host.process.wait()
