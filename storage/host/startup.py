"""One log line when the app is ready: what it may use and which model serves. Then a warning for each bad setting.

The concurrency of a function app is set in three independent places (``host.json``, app settings, the container).
The startup line shows the effective numbers together; each warning names the setting to change and the value.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inference.predictions import ModelIdentity
    from storage.host.config import HostLimits
    from storage.settings import Settings

logger = logging.getLogger(__name__)

_MIB = 1024 * 1024
# The least that any image needs, RGBA and nothing beside it; most formats need more
# (inference/decoding/memory_cost.py).
_MIN_BYTES_PER_PIXEL = 4
_MAX_TIMEOUT_SECONDS = 30 * 60
_MIN_BUDGET_MIB = 64


class ConfigWarning(NamedTuple):
    """Settings that do not fit each other, or the machine.

    Attributes:
        problem: The settings and numbers that do not fit, and the consequence.
        remedy: The setting to change, and its value.
        is_fatal: Whether uploads or messages stay unprocessed because of it.
    """

    problem: str
    remedy: str
    is_fatal: bool = False


@dataclass(frozen=True, slots=True)
class Startup:
    """Everything a process may use when it is ready.

    Attributes:
        settings: The app's settings.
        limits: The effective limits of host and worker.
        cpus: CPUs that may run at once: affinity and quota.
        intra_op_threads: Threads that share one inference.
        budget_bytes: Memory for everything downloaded and decoded at one moment.
        available_bytes: Memory that the container or machine could give for it.
        model: The model that serves; ``None`` while it is downloaded, or where it cannot be used.
        versions: Version by name, of the packages that decide speed and results.
        exact_int8: Whether a model is quantized and runs without saturation; see ``inference.model.session``.
    """

    settings: Settings
    limits: HostLimits
    cpus: int
    intra_op_threads: int
    budget_bytes: int
    available_bytes: int
    model: ModelIdentity | None
    versions: Mapping[str, str]
    exact_int8: bool = False

    def log(self, load_seconds: float) -> None:
        """Log the startup line, then each warning, as an error where it is fatal.

        Args:
            load_seconds: How long the app took to import and to load its model.
        """
        fields = self._fields() | {"load_ms": f"{load_seconds * 1000:.0f}"}
        logger.info("app_started %s", " ".join(f"{name}={value}" for name, value in fields.items()))
        for found in self.warnings():
            level = logging.ERROR if found.is_fatal else logging.WARNING
            problem, remedy = json.dumps(found.problem), json.dumps(found.remedy)
            logger.log(level, "settings_warning problem=%s do=%s", problem, remedy)

    def warnings(self) -> Iterator[ConfigWarning]:
        """Yield every setting that an operator should change."""
        yield from self._threads()
        yield from self._memory()
        yield from self._events()
        yield from self._times()
        yield from self._actions()

    def _fields(self) -> dict[str, object]:
        limits, settings = self.limits, self.settings
        model = {"model": json.dumps(self.model.name), "model_version": self.model.version} if self.model else {}
        return {
            **model,
            **self._shadow(),
            "cpus": self.cpus,
            "intra_op_threads": self.intra_op_threads,
            **({"int8": "exact"} if self.exact_int8 else {}),
            "pool_threads": limits.pool_threads,
            "worker_processes": limits.worker_processes,
            "blobs_at_once": "dynamic" if limits.is_dynamic else limits.blobs_at_once,
            "messages_at_once": "dynamic" if limits.is_dynamic else limits.messages_at_once,
            "decode_budget_mib": self.budget_bytes // _MIB,
            "max_image_bytes": settings.max_image_bytes,
            "max_image_pixels": settings.max_image_pixels,
            "damaged_images": settings.damaged_images,
            "source": settings.blob_trigger_source,
            "plan": json.dumps(limits.plan),
            **self.versions,
        }

    def _shadow(self) -> dict[str, object]:
        """The candidate on trial, where there is one."""
        place = self.settings.shadow_model_blob or self.settings.shadow_model_dir
        if self.settings.with_candidate() is None:
            return {}
        return {"shadow": json.dumps(str(place)), "shadow_share": self.settings.shadow_share}

    def _threads(self) -> Iterator[ConfigWarning]:
        limits = self.limits
        if limits.is_dynamic:
            return
        at_once = max(limits.blobs_at_once, limits.messages_at_once)
        # On one machine the worker's default is fine: no other instance could take the invocations that wait.
        if limits.pool_threads < at_once and (limits.is_pool_chosen or limits.plan):
            yield ConfigWarning(
                f"The host hands over {at_once} functions at once, the worker has threads for {limits.pool_threads}: "
                "the others wait inside the worker while their time runs, and no other instance can take them.",
                f"Set PYTHON_THREADPOOL_THREAD_COUNT={at_once}, or lower blobs.maxDegreeOfParallelism and "
                "queues.batchSize in host.json.",
            )
        if 2 * at_once < self.cpus:
            yield ConfigWarning(
                f"The host hands over {at_once} functions at once, but {self.cpus} CPUs may be used: some stay idle.",
                f"Set blobs.maxDegreeOfParallelism in host.json to at least {2 * self.cpus}.",
            )

    def _memory(self) -> Iterator[ConfigWarning]:
        processes, budget, available = self.limits.worker_processes, self.budget_bytes, self.available_bytes
        share = max(_MIN_BUDGET_MIB, available // processes // _MIB)
        shortage = f"but only {available // _MIB} MiB are there for images: the container may be killed."
        if processes > 1 and processes * budget > available:
            yield ConfigWarning(
                f"{processes} worker processes may take {budget // _MIB} MiB each, {shortage}",
                f"Set FUNCTIONS_WORKER_PROCESS_COUNT=1 (threads use all CPUs), or DECODE_BUDGET_MIB={share}.",
            )
        elif processes > 1:
            yield ConfigWarning(
                f"{processes} worker processes hold {processes} models and budgets, and gain nothing: the threads of "
                "one use all CPUs.",
                "Set FUNCTIONS_WORKER_PROCESS_COUNT=1.",
            )
        elif budget > available:
            yield ConfigWarning(
                f"The budget is {budget // _MIB} MiB, {shortage}", f"Set DECODE_BUDGET_MIB={share}, or remove it."
            )
        most = max(budget, available) // _MIN_BYTES_PER_PIXEL
        if most < self.settings.max_image_pixels:
            yield ConfigWarning(
                f"MAX_IMAGE_PIXELS admits {self.settings.max_image_pixels:,} pixels, but the available memory can hold "
                f"at most {most:,}: larger images will be rejected as too_many_pixels.",
                "Give the instance more memory, or lower MAX_IMAGE_PIXELS to the effective limit.",
            )
        if budget < self.settings.max_image_bytes:
            yield ConfigWarning(
                f"MAX_IMAGE_BYTES admits {self.settings.max_image_bytes // _MIB} MiB, the budget for downloads and "
                f"decoding together is {budget // _MIB} MiB.",
                "Raise DECODE_BUDGET_MIB or the instance's memory, or lower MAX_IMAGE_BYTES.",
            )

    def _events(self) -> Iterator[ConfigWarning]:
        source = self.settings.blob_trigger_source
        storage = self.settings.image_storage.connection_string or ""
        if source == "EventGrid" and "devstoreaccount1" in storage:
            yield ConfigWarning(
                "BLOB_TRIGGER_SOURCE is EventGrid, but Azurite sends no events: uploads will not be seen.",
                "Set BLOB_TRIGGER_SOURCE=LogsAndContainerScan.",
                is_fatal=True,
            )
        if source != "EventGrid" and self.limits.plan == "FlexConsumption":
            yield ConfigWarning(
                f"BLOB_TRIGGER_SOURCE is {source}, but Flex Consumption supports EventGrid only: no upload is seen.",
                "Set BLOB_TRIGGER_SOURCE=EventGrid and run the post-deploy script, which makes the subscription.",
                is_fatal=True,
            )

    def _times(self) -> Iterator[ConfigWarning]:
        limits = self.limits
        timeout = limits.function_timeout_seconds
        if timeout is None or timeout > _MAX_TIMEOUT_SECONDS:
            yield ConfigWarning(
                "functionTimeout is not set or above half an hour: a function that hangs holds its image, and a "
                "thread, for that long.",
                'Set "functionTimeout": "00:30:00" in host.json.',
            )
        elif limits.redelivery_seconds > timeout:
            yield ConfigWarning(
                f"A message is hidden for {limits.redelivery_seconds:.0f} s after each failure "
                f"(queues.visibilityTimeout), longer than the function itself may take ({timeout:.0f} s).",
                "Lower queues.visibilityTimeout in host.json; RETRY_DELAYS_SECONDS has the growing delays.",
            )
        if limits.is_base64:
            yield ConfigWarning(
                "queues.messageEncoding is base64: the host moves a message that is not Base64 to a poison queue, and "
                "no function ever receives it.",
                'Set "messageEncoding": "none" in host.json, as the app reads Base64 itself.',
            )

    def _actions(self) -> Iterator[ConfigWarning]:
        if self.settings.notify_labels and self.settings.notify_queue is None:
            yield ConfigWarning(
                "NOTIFY_LABELS names labels, but NOTIFY_QUEUE names no queue: no message is sent.",
                "Set NOTIFY_QUEUE, or remove NOTIFY_LABELS.",
            )
