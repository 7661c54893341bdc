"""Executes the plan of a chaos run.

All changes go to Azurite directly, without the proxy's faults: uploads are not under test.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableServiceClient, UpdateMode
from azure.storage.blob import BlobServiceClient, StandardBlobTier
from azure.storage.queue import QueueServiceClient

from tools.azurite.azurite import ACCOUNT
from tools.chaos.images import hostile_document, image_file
from tools.chaos.keys import row_keys
from tools.chaos.plan import Action
from tools.chaos.storage_names import INCOMING, INTERNAL_QUEUE, POISON_QUEUE, QUEUES, REQUEST_QUEUE, RESULTS, TABLE
from tools.devhost.messages import BlobTriggerMessage, function_id

if TYPE_CHECKING:
    from tools.chaos.faults import Call, Fault, SelectFault
    from tools.chaos.plan import Step

_THREADS = 4
EDITS: tuple[dict[str, str], ...] = (
    {"score": "high"},
    {"status": "looked at"},
    {"top_k": "[" * 20_000},
    {"classified_at": "yesterday"},
)
"""Columns that a person changes to something that the app cannot read."""


_UPLOADS: dict[Action, dict[str, Any]] = {
    Action.UPLOAD: {},
    Action.OVERWRITE: {},
    Action.REFUSED: {},
    Action.HOSTILE: {},
    Action.ARCHIVED: {"standard_blob_tier": StandardBlobTier.ARCHIVE},
    Action.DIRECTORY: {"metadata": {"hdi_isfolder": "true"}},
}


@dataclass
class Workload:
    """Executes a plan.

    Attributes:
        connection_string: Of the account, without the proxy.
        steps: The plan.
        event_grid: Whether to queue a message for each upload, as Event Grid does, because the host does not poll.
        done: Executed steps by action; steps without a blob or sidecar to act on are not counted.
        triggered: How many of them had a trigger.
        running_triggers: Triggered steps that have not finished.
    """

    connection_string: str
    steps: list[Step]
    event_grid: bool = False
    done: dict[Action, int] = field(default_factory=lambda: dict.fromkeys(Action, 0))
    triggered: int = 0
    running_triggers: int = 0

    def __post_init__(self) -> None:
        self._blobs = BlobServiceClient.from_connection_string(self.connection_string)
        self._queues = QueueServiceClient.from_connection_string(self.connection_string)
        self._rows = TableServiceClient.from_connection_string(self.connection_string).get_table_client(TABLE)
        self._incoming = self._blobs.get_container_client(INCOMING)
        self._etags: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self._waiting = {step.trigger: step for step in self.steps if step.trigger}

    def with_triggers(self, select_fault: SelectFault) -> SelectFault:
        """Wrap a fault selector so that each call also starts the step that it triggers."""

        def select(call: Call) -> Fault | None:
            target = unquote(call.path).partition(f"/{ACCOUNT}/")[2]
            step = self._waiting.pop(f"{call.method} {target}", None)
            if step:
                with self._lock:
                    self.running_triggers += 1
                threading.Timer(step.at, self._run_triggered, [step]).start()
            return select_fault(call)

        return select

    def create_resources(self) -> None:
        """Create containers and queues, as a deployment does."""
        for container in (INCOMING, RESULTS):
            with contextlib.suppress(ResourceExistsError):
                self._blobs.create_container(container)
        for queue in QUEUES:
            with contextlib.suppress(ResourceExistsError):
                self._queues.create_queue(queue)

    def run(self) -> None:
        """Execute all steps with a planned time; returns after the last. One thread executes all steps of a blob."""
        schedules: list[list[Step]] = [[] for _ in range(_THREADS)]
        for step in (step for step in self.steps if not step.trigger):
            schedules[sum(step.names[0].encode()) % _THREADS].append(step)
        start = time.monotonic()
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="workload") as pool:
            for future in [pool.submit(self._run_schedule, schedule, start) for schedule in schedules]:
                future.result()

    def _run_schedule(self, schedule: list[Step], start: float) -> None:
        for step in schedule:
            time.sleep(max(0.0, start + step.at - time.monotonic()))
            self._run_step(step)

    def _run_triggered(self, step: Step) -> None:
        self._run_step(step)
        with self._lock:
            self.triggered += 1
            self.running_triggers -= 1

    def _run_step(self, step: Step) -> None:
        with contextlib.suppress(ResourceNotFoundError):  # the blob was deleted, or has no sidecar yet
            if self._execute(step):
                with self._lock:
                    self.done[step.action] += 1

    def _execute(self, step: Step) -> bool:
        name = step.names[0]
        match step.action:
            case action if action in _UPLOADS:
                self._upload(name, _content(step), **_UPLOADS[action])
            case Action.EDIT:
                self._edit_row(name, int(step.content_seed))
            case Action.DELETE:
                self._incoming.delete_blob(name)
            case Action.EVENT | Action.OLD_EVENT:
                etags = self._etags.get(name)
                if not etags or (step.action is Action.OLD_EVENT and len(etags) < 2):
                    return False
                self._send_event(name, etags[-1 if step.action is Action.EVENT else 0])
            case Action.REQUEST:
                self._send(REQUEST_QUEUE, {"container": INCOMING, "blobs": step.names})
            case Action.POISON:
                self._send_event(name, '"0x0"', POISON_QUEUE)
            case Action.COPY:
                sidecar = self._blobs.get_blob_client(RESULTS, f"{name}.json").download_blob().readall()
                self._incoming.upload_blob(step.names[1], sidecar)
        return True

    def _upload(self, name: str, content: bytes, **options: Any) -> None:
        uploaded = self._incoming.upload_blob(name, content, overwrite=True, **options)
        etag = str(uploaded.get_blob_properties().etag)
        self._etags.setdefault(name, []).append(etag)
        if self.event_grid:
            self._send_event(name, etag)

    def _edit_row(self, name: str, number: int) -> None:
        """Edit a row as a person does who does not know its columns."""
        partition_key, row_key = row_keys(INCOMING, name)
        changed = EDITS[number % len(EDITS)]
        self._rows.update_entity({"PartitionKey": partition_key, "RowKey": row_key, **changed}, mode=UpdateMode.MERGE)

    def _send_event(self, name: str, etag: str, queue: str = INTERNAL_QUEUE) -> None:
        """Queue the message that the host queues for an upload."""
        message = BlobTriggerMessage(function_id("classify_uploaded"), INCOMING, name, etag)
        self._queues.get_queue_client(queue).send_message(message.to_wire())

    def _send(self, queue: str, message: dict[str, object]) -> None:
        text = base64.b64encode(json.dumps(message).encode()).decode()
        self._queues.get_queue_client(queue).send_message(text)


def _content(step: Step) -> bytes:
    if step.action is Action.DIRECTORY:
        return b""
    return (hostile_document if step.action is Action.HOSTILE else image_file)(step.content_seed)
