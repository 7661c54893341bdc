"""The storage of one scenario, the host under test on it, and what they show."""

from __future__ import annotations

import base64
import json
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import azure.functions as func
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from tests.hosts.recording_app import Host, InProcessDevHost, Program, Recorder
from tests.waiting import until

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from azure.storage.queue import QueueClient

    from tests.tools.webjobs.conftest import Pair

HOST_ID = "recorder"
INTERNAL = f"azure-webjobs-blobtrigger-{HOST_ID}"
POISON = "webjobs-blobtrigger-poison"
REQUESTS = "classify-requests"
# No retry of a blob waits for this, and no test is that slow: only a message of a queue trigger may wait as long.
LONG = "01:00:00"

Facts = dict[str, Any]


class OnPurposeError(Exception):
    """What a function of a scenario raises."""


@dataclass(frozen=True)
class Visible:
    """A queue: its messages, hidden ones too, and the texts of those that can be seen."""

    length: int
    texts: list[str]


class Lab:
    """Storage and hosts of one scenario.

    Args:
        program: ``webjobs-host``; None for the dev host in this process.
        pair: Two accounts that no other scenario uses.
        folder: For ``host.json`` and logs.
    """

    def __init__(self, program: Path | None, pair: Pair, folder: Path) -> None:
        self.is_dev_host = program is None
        self._program, self._pair, self._folder = program, pair, folder
        self.blobs = BlobServiceClient.from_connection_string(pair.images)
        self.host_blobs = BlobServiceClient.from_connection_string(pair.host)
        self._queues = QueueServiceClient.from_connection_string(pair.images)
        self._host_queues = QueueServiceClient.from_connection_string(pair.host)
        self.incoming = self.blobs.get_container_client("incoming")
        self.recorder = Recorder(self.version)

    def version(self, container: str, name: str) -> str:
        return str(self.blobs.get_blob_client(container, name).get_blob_properties().etag)

    def queue(self, name: str) -> QueueClient:
        return (self._host_queues if name == INTERNAL else self._queues).get_queue_client(name)

    @contextmanager
    def host(
        self,
        *,
        parallelism: int = 8,
        visibility_timeout: str = LONG,
        source: func.BlobSource = func.BlobSource.LOGS_AND_CONTAINER_SCAN,
    ) -> Iterator[Any]:
        """Run a host for the length of the block; its settings are those of the recordings."""
        host = self.start(parallelism=parallelism, visibility_timeout=visibility_timeout, source=source)
        try:
            yield host
        finally:
            if host.exit_code is None:
                host.stop()

    def start(
        self,
        *,
        parallelism: int = 8,
        visibility_timeout: str = LONG,
        source: func.BlobSource = func.BlobSource.LOGS_AND_CONTAINER_SCAN,
    ) -> Host:
        queues = {"batchSize": 4, "newBatchThreshold": 2, "maxDequeueCount": 5, "maxPollingInterval": "00:00:01"}
        queues["visibilityTimeout"] = visibility_timeout
        blobs = {"maxDegreeOfParallelism": parallelism, "poisonBlobThreshold": 5}
        document = {"version": "2.0", "extensions": {"blobs": blobs, "queues": queues}}
        (self._folder / "host.json").write_text(json.dumps(document), encoding="utf-8")
        environ = {
            "AzureWebJobsStorage": self._pair.host,
            "ImageStorage": self._pair.images,
            "AzureFunctionsWebHost__hostid": HOST_ID,
        }
        if self._program is None:
            return InProcessDevHost(self.recorder, source, environ, self._folder)
        return Program(self._program, self.recorder, source, environ, self._folder)

    def put(self, name: str, content: bytes = b"x", **options: Any) -> str:
        """Upload a blob; return its ETag."""
        self.incoming.get_blob_client(name).upload_blob(content, overwrite=True, **options)
        return self.version("incoming", name)

    def next_second(self) -> None:
        """Wait until an upload gets a later Last-Modified: the emulator's scanner misses one in an equal second."""
        now = int(time.time())
        until(lambda: int(time.time()) > now, "the next second")

    def count(self, function: str = "classify_uploaded", key: str | None = None) -> int:
        return sum(call.function == function and key in (None, call.key) for call in self.recorder.calls)

    def wait_for(self, count: int, function: str = "classify_uploaded", key: str | None = None) -> None:
        until(lambda: self.count(function, key) >= count, f"{count} calls of {function} for {key}", evidence=self._seen)

    def _seen(self) -> str:
        return "\n".join(map(str, self.recorder.calls))

    def versions(self) -> dict[str, list[int]]:
        """How often each version of each blob was handed to the function, versions in the order of their first call."""
        found: dict[str, dict[str | None, int]] = {}
        for call in self.recorder.calls:
            if call.function == "classify_uploaded":
                versions = found.setdefault(call.key, {})
                versions[call.etag] = versions.get(call.etag, 0) + 1
        return {name: list(versions.values()) for name, versions in found.items()}

    def look(self, name: str) -> Visible:
        try:
            queue = self.queue(name)
            texts = [str(message.content) for message in queue.peek_messages(32)]
            return Visible(int(queue.get_queue_properties().approximate_message_count or 0), texts)
        except HttpResponseError:
            return Visible(0, [])

    def wait_until_empty(self, *queues: str) -> None:
        for name in queues or (INTERNAL,):
            until(lambda name=name: not self.look(name).length, f"no message on {name}", evidence=self._seen)  # type: ignore[misc]  # mypy infers no type for a lambda's default

    def left(self) -> dict[str, dict[str, int]]:
        """The messages on each queue that is not empty."""
        looked = {name: self.look(name) for name in (INTERNAL, POISON, REQUESTS, f"{REQUESTS}-poison")}
        return {
            name: {"length": each.length, "visible": len(each.texts)} for name, each in looked.items() if each.length
        }

    def receipts(self) -> list[list[Any]]:
        """Names without ETags, and metadata, of every receipt."""
        container = self.host_blobs.get_container_client("azure-webjobs-hosts")
        if not container.exists():
            return []
        blobs = container.list_blobs(name_starts_with="blobreceipts/", include=["metadata"])
        return sorted([without_etag(blob.name), dict(blob.metadata or {})] for blob in blobs)


def wait_for(event: threading.Event) -> None:
    """Hold a function's call until the event is set."""
    event.wait()


def without_etag(text: str) -> str:
    """Replace an ETag, as a message or a receipt's name has it, by a fixed word."""
    return re.sub(r"0x[0-9A-F]{8,}", "ETAG", text)


def decoded(text: str) -> str:
    """The JSON of a message on the internal queue, without its ETag."""
    return without_etag(base64.b64decode(text).decode())


def encoded(content: str | bytes) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()
