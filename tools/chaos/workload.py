"""What happens to the incoming container during a chaos run: uploads, overwrites, deletions, and events that repeat.

Everything is planned from the seed before it begins. Some of it happens at its time, in order for each blob; some lies
in ambush, until the app reads a blob or writes its sidecar: then the blob changes under its hands. It all goes to
Azurite directly: the person who uploads is not the one who is tested.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from tools.azurite.azurite import ACCOUNT
from tools.chaos.images import picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.chaos.faults import Call, Mishap
    from tools.chaos.proxy import Choose

INCOMING = "incoming"
RESULTS = "results"
HOST_ID = "chaos"
INTERNAL_QUEUE = f"azure-webjobs-blobtrigger-{HOST_ID}"
POISON_QUEUE = "webjobs-blobtrigger-poison"
REQUESTS = "classify-requests"
QUEUES = (INTERNAL_QUEUE, POISON_QUEUE, REQUESTS, f"{REQUESTS}-poison")
COPIED = "copied/"
"""Where the run copies sidecars to, inside the incoming container; the app must pass them over."""

_PLACES = (
    *("{0}.jpg", "trap 7/2026-05-01/{0}.JPG", "100%/it's #{0}.png", "what?/a+b&c=d {0}.jpg", "Füchse/星/🦊 {0}.png"),
    *("e\u0301/\u00e9 {0}.jpg", "double//{0}.jpg", '%41/"{0}"', "a|b=c/{0}.jpg"),
)
_LANES = 4


class Act(StrEnum):
    """What is done; the value is how the report calls it."""

    UPLOAD = "uploads"
    OVERWRITE = "overwrites"
    DELETE = "deletions"
    EVENT = "extra events"
    OLD_EVENT = "outdated events"
    REQUEST = "extra requests"
    POISON = "extra poison"
    COPY = "copied sidecars"


class Step(NamedTuple):
    """One act.

    Attributes:
        at: Seconds from the beginning, or from the call that it lies in ambush for.
        names: One blob's; of a request, several.
        ambush: ``GET container/name`` or ``PUT container/name``; empty for what happens at its time.
    """

    at: float
    act: Act
    names: tuple[str, ...]
    content_seed: str = ""
    ambush: str = ""


def plan(images: int, seed: int, seconds: float) -> list[Step]:
    """Plan a run: ``images`` blobs, first uploaded within ``seconds``; steps in the order of their time."""
    choice = random.Random(seed)
    names = [choice.choice(_PLACES).format(f"{number:05}") for number in range(images)]
    steps: list[Step] = []
    for name in names:
        steps += _life(name, choice, seconds, seed)
    for number in range(images // 20):
        several = (*choice.sample(names, min(images, choice.randint(1, 12))), f"never was {number}.jpg")
        steps.append(Step(choice.uniform(0, seconds), Act.REQUEST, several))
    for number in range(images // 100):
        steps.append(Step(choice.uniform(0, seconds), Act.POISON, (choice.choice(names),)))
        steps.append(
            Step(choice.uniform(seconds / 2, seconds), Act.COPY, (choice.choice(names), f"{COPIED}{number}.json"))
        )
    return sorted(steps)


def _life(name: str, choice: random.Random, seconds: float, seed: int) -> Iterator[Step]:
    """One blob's: about half are left alone, the others change before, while or after they are in work."""
    born = choice.uniform(0, seconds)
    yield Step(born, Act.UPLOAD, (name,), f"{seed}/{name}/0")
    at = born
    if choice.random() < 0.25:
        for version in range(1, choice.randint(2, 4)):
            at += _pause(choice, seconds)
            yield Step(at, Act.OVERWRITE, (name,), f"{seed}/{name}/{version}")
    if choice.random() < 0.1:
        at += _pause(choice, seconds)
        yield Step(at, Act.DELETE, (name,))
        if choice.random() < 0.3:
            at += _pause(choice, seconds)
            yield Step(at, Act.UPLOAD, (name,), f"{seed}/{name}/again")
    if choice.random() < 0.2:
        call = choice.choice((f"GET {INCOMING}/{name}", f"PUT {RESULTS}/{name}.json"))
        act = choice.choice((Act.OVERWRITE, Act.OVERWRITE, Act.DELETE))
        content = "" if act is Act.DELETE else f"{seed}/{name}/ambush"
        yield Step(choice.uniform(0, 0.3), act, (name,), content, call)
    for act, share in ((Act.EVENT, 0.2), (Act.OLD_EVENT, 0.1)):
        if choice.random() < share:
            yield Step(born + choice.uniform(0, seconds / 3), act, (name,))


def _pause(choice: random.Random, seconds: float) -> float:
    """Seconds until something happens to a blob again: before it is found, while it is in work, long after."""
    return choice.expovariate(1 / choice.choice((0.5, seconds / 15, seconds / 3)))


@dataclass
class Feed:
    """Carries out a plan.

    Attributes:
        steps: The plan.
        event_grid: Announce each upload on the internal queue, as Event Grid does, since nobody scans.
        done: How often each act was done; those that found nothing to act on are not counted.
        ambushes: How many of them were ambushes.
        under_way: How many ambushes were set off and are not over.
    """

    connection_string: str
    steps: list[Step]
    event_grid: bool = False
    done: dict[Act, int] = field(default_factory=lambda: dict.fromkeys(Act, 0))
    ambushes: int = 0
    under_way: int = 0

    def __post_init__(self) -> None:
        self._blobs = BlobServiceClient.from_connection_string(self.connection_string)
        self._queues = QueueServiceClient.from_connection_string(self.connection_string)
        self._incoming = self._blobs.get_container_client(INCOMING)
        self._etags: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self._ambushes = {step.ambush: step for step in self.steps if step.ambush}

    def watching(self, choose: Choose) -> Choose:
        """What chooses faults, and sets off the ambush that a call runs into."""

        def watched(call: Call) -> Mishap | None:
            place = unquote(call.path).partition(f"/{ACCOUNT}/")[2]
            step = self._ambushes.pop(f"{call.method} {place}", None)
            if step:
                with self._lock:
                    self.under_way += 1
                threading.Timer(step.at, self._spring, [step]).start()
            return choose(call)

        return watched

    def prepare(self) -> None:
        """Make what a deployment makes: containers and queues."""
        for container in (INCOMING, RESULTS):
            with contextlib.suppress(ResourceExistsError):
                self._blobs.create_container(container)
        for queue in QUEUES:
            with contextlib.suppress(ResourceExistsError):
                self._queues.create_queue(queue)

    def run(self) -> None:
        """Do every step at its time; returns after the last."""
        lanes: list[list[Step]] = [[] for _ in range(_LANES)]
        for step in (step for step in self.steps if not step.ambush):
            lanes[sum(step.names[0].encode()) % _LANES].append(step)
        began = time.monotonic()
        with ThreadPoolExecutor(_LANES, thread_name_prefix="feed") as pool:
            for lane in [pool.submit(self._walk, lane, began) for lane in lanes]:
                lane.result()

    def _walk(self, lane: list[Step], began: float) -> None:
        for step in lane:
            time.sleep(max(0.0, began + step.at - time.monotonic()))
            self._carry_out(step)

    def _spring(self, step: Step) -> None:
        self._carry_out(step)
        with self._lock:
            self.ambushes += 1
            self.under_way -= 1

    def _carry_out(self, step: Step) -> None:
        with contextlib.suppress(ResourceNotFoundError):  # deleted before, or has no sidecar yet
            if self._do(step):
                with self._lock:
                    self.done[step.act] += 1

    def _do(self, step: Step) -> bool:
        name = step.names[0]
        match step.act:
            case Act.UPLOAD | Act.OVERWRITE:
                uploaded = self._incoming.upload_blob(name, picture(step.content_seed), overwrite=True)
                etag = str(uploaded.get_blob_properties().etag)
                self._etags.setdefault(name, []).append(etag)
                if self.event_grid:
                    self._announce(name, etag)
            case Act.DELETE:
                self._incoming.delete_blob(name)
            case Act.EVENT | Act.OLD_EVENT:
                etags = self._etags.get(name)
                if not etags or (step.act is Act.OLD_EVENT and len(etags) < 2):
                    return False
                self._announce(name, etags[-1 if step.act is Act.EVENT else 0])
            case Act.REQUEST:
                self._send(REQUESTS, {"container": INCOMING, "blobs": step.names})
            case Act.POISON:
                self._announce(name, '"0x0"', POISON_QUEUE)
            case Act.COPY:
                sidecar = self._blobs.get_blob_client(RESULTS, f"{name}.json").download_blob().readall()
                self._incoming.upload_blob(step.names[1], sidecar)
        return True

    def _announce(self, name: str, etag: str, queue: str = INTERNAL_QUEUE) -> None:
        """Queue the message that the host makes of an upload."""
        kind = {"Type": "BlobTrigger", "FunctionId": "Host.Functions.classify_uploaded", "BlobType": "BlockBlob"}
        self._send(queue, {**kind, "ContainerName": INCOMING, "BlobName": name, "ETag": etag})

    def _send(self, queue: str, message: dict[str, object]) -> None:
        text = base64.b64encode(json.dumps(message).encode()).decode()
        self._queues.get_queue_client(queue).send_message(text)
