"""One line when the app is ready: what it may use, and what serves. One more for each contradiction in the settings.

The concurrency of a function app is set in three places that know nothing of each other (``host.json``, app settings,
the container), so the numbers that hold are said together, and each contradiction with the way out of it.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inference.predictions import ModelIdentity
    from storage.host.config import HostLimits
    from storage.settings import Settings

logger = logging.getLogger(__name__)

_BEGAN = time.perf_counter()  # imported first by the app, so what the app imports is counted
_MIB = 1024 * 1024
_LEAST_BYTES_PER_PIXEL = (
    4  # one decoded image, nothing beside it; most formats cost more (inference/decoding/memory_cost.py)
)
_LONGEST_TIMEOUT_SECONDS = 30 * 60


class Contradiction(NamedTuple):
    """Settings that cannot all be meant.

    Attributes:
        problem: What contradicts what, with the numbers.
        remedy: What to set to which value.
        is_fatal: Whether uploads or messages go unseen for it.
    """

    problem: str
    remedy: str
    is_fatal: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """What a process has when it is ready.

    Attributes:
        settings: The app's.
        limits: The host's and the worker's.
        cpus: CPUs that may run at once: affinity and quota.
        intra_op_threads: Threads that share one inference.
        budget_bytes: What may be downloaded and decoded at one moment.
        available_bytes: What the container or machine could give for it.
        model: What answers; ``None`` where it is still being fetched, or cannot be used.
        versions: Of what decides speed and answers, by name.
    """

    settings: Settings
    limits: HostLimits
    cpus: int
    intra_op_threads: int
    budget_bytes: int
    available_bytes: int
    model: ModelIdentity | None
    versions: Mapping[str, str]

    def log(self) -> None:
        """Log the start line, then a warning for each contradiction, or an error where it is fatal."""
        logger.info("app_started %s", " ".join(f"{name}={value}" for name, value in self._fields().items()))
        for found in self.contradictions():
            level = logging.ERROR if found.is_fatal else logging.WARNING
            problem, remedy = json.dumps(found.problem), json.dumps(found.remedy)
            logger.log(level, "settings_contradict problem=%s do=%s", problem, remedy)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield what a person should change."""
        yield from self._threads()
        yield from self._memory()
        yield from self._events()
        yield from self._times()

    def _fields(self) -> dict[str, object]:
        limits, settings = self.limits, self.settings
        model = {"model": json.dumps(self.model.name), "model_version": self.model.version} if self.model else {}
        return {
            **model,
            "cpus": self.cpus,
            "intra_op_threads": self.intra_op_threads,
            "pool_threads": limits.pool_threads,
            "worker_processes": limits.worker_processes,
            "blobs_at_once": "dynamic" if limits.is_dynamic else limits.blobs_at_once,
            "messages_at_once": "dynamic" if limits.is_dynamic else limits.messages_at_once,
            "decode_budget_mib": self.budget_bytes // _MIB,
            "max_image_bytes": settings.max_image_bytes,
            "max_image_pixels": settings.max_image_pixels,
            "source": settings.blob_trigger_source,
            "plan": json.dumps(limits.plan),
            **self.versions,
            "load_ms": f"{(time.perf_counter() - _BEGAN) * 1000:.0f}",
        }

    def _threads(self) -> Iterator[Contradiction]:
        limits = self.limits
        handed = max(limits.blobs_at_once, limits.messages_at_once)
        if limits.is_dynamic:
            return
        # On one machine with the worker's default nothing is wrong: nobody else could take what waits.
        if limits.pool_threads < handed and (limits.is_pool_chosen or limits.plan):
            yield Contradiction(
                f"The host hands over {handed} functions at once, the worker has threads for {limits.pool_threads}: "
                "the others wait inside the worker while their time runs, and no other instance can take them.",
                f"Set PYTHON_THREADPOOL_THREAD_COUNT={handed}, or lower blobs.maxDegreeOfParallelism and "
                "queues.batchSize in host.json.",
            )
        if 2 * handed < self.cpus:
            yield Contradiction(
                f"The host hands over {handed} functions at once, but {self.cpus} CPUs may be used: some stay idle.",
                f"Set blobs.maxDegreeOfParallelism in host.json to at least {2 * self.cpus}.",
            )

    def _memory(self) -> Iterator[Contradiction]:
        processes, budget, available = self.limits.worker_processes, self.budget_bytes, self.available_bytes
        if processes * budget > available:
            share = max(64, available // processes // _MIB)
            whose = (
                f"{processes} worker processes may take {budget // _MIB} MiB each" if processes > 1 else "The budget"
            )
            whose += "" if processes > 1 else f" is {budget // _MIB} MiB"
            yield Contradiction(
                f"{whose}, but only {available // _MIB} MiB are there for images: the container may be killed.",
                (f"Set FUNCTIONS_WORKER_PROCESS_COUNT=1 (threads use all CPUs), or DECODE_BUDGET_MIB={share}.")
                if processes > 1
                else f"Set DECODE_BUDGET_MIB={share}, or remove it.",
            )
        elif processes > 1:
            yield Contradiction(
                f"{processes} worker processes hold {processes} models and budgets, and gain nothing: the threads of "
                "one use all CPUs.",
                "Set FUNCTIONS_WORKER_PROCESS_COUNT=1.",
            )
        most = max(budget, available) // _LEAST_BYTES_PER_PIXEL
        if most < self.settings.max_image_pixels:
            yield Contradiction(
                f"MAX_IMAGE_PIXELS admits {self.settings.max_image_pixels:,} pixels, but at most {most:,} can be "
                "decoded in the memory that is there: larger images will be rejected as too_many_pixels.",
                "Give the instance more memory, or lower MAX_IMAGE_PIXELS so that it says what holds.",
            )
        if budget < self.settings.max_image_bytes:
            yield Contradiction(
                f"MAX_IMAGE_BYTES admits {self.settings.max_image_bytes // _MIB} MiB, the budget for downloads and "
                f"decoding together is {budget // _MIB} MiB.",
                "Raise DECODE_BUDGET_MIB or the instance's memory, or lower MAX_IMAGE_BYTES.",
            )

    def _events(self) -> Iterator[Contradiction]:
        source = self.settings.blob_trigger_source
        storage = self.settings.image_storage.connection_string or ""
        if source == "EventGrid" and "devstoreaccount1" in storage:
            yield Contradiction(
                "BLOB_TRIGGER_SOURCE is EventGrid, but Azurite sends no events: uploads will not be seen.",
                "Set BLOB_TRIGGER_SOURCE=LogsAndContainerScan.",
                is_fatal=True,
            )
        if source != "EventGrid" and self.limits.plan == "FlexConsumption":
            yield Contradiction(
                f"BLOB_TRIGGER_SOURCE is {source}, but Flex Consumption knows EventGrid only: no upload will be seen.",
                "Set BLOB_TRIGGER_SOURCE=EventGrid and run the post-deploy script, which makes the subscription.",
                is_fatal=True,
            )

    def _times(self) -> Iterator[Contradiction]:
        limits = self.limits
        timeout = limits.function_timeout_seconds
        if timeout is None or timeout > _LONGEST_TIMEOUT_SECONDS:
            yield Contradiction(
                "functionTimeout is not set or above half an hour: a function that hangs holds its image, and a "
                "thread, for that long.",
                'Set "functionTimeout": "00:30:00" in host.json.',
            )
        elif limits.redelivery_seconds > timeout:
            yield Contradiction(
                f"A message is hidden for {limits.redelivery_seconds:.0f} s after each failure "
                f"(queues.visibilityTimeout), longer than the function itself may take ({timeout:.0f} s).",
                "Lower queues.visibilityTimeout in host.json; RETRY_DELAYS_SECONDS has the growing delays.",
            )
        if not limits.is_base64:
            yield Contradiction(
                "queues.messageEncoding is none, but the messages of this app are in Base64: none will be understood.",
                "Remove messageEncoding from host.json.",
                is_fatal=True,
            )
