"""Effective host limits: how many functions the host runs at once and for how long, and the worker's threads.

``host.json`` sets them, an app setting ``AzureFunctionsJobHost__a__b`` overrides its ``a.b``, and the host has defaults
for the rest. Nothing in this module raises: the host itself refuses to start with a wrong value.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_OVERRIDE = "azurefunctionsjobhost__"
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.\d+)?")
_MAX_DEFAULT_THREADS = 32  # concurrent.futures.ThreadPoolExecutor's own bound, which the worker keeps


@dataclass(frozen=True, slots=True)
class HostLimits:
    """Effective host limits after overrides and defaults.

    Attributes:
        blobs_at_once: Uploads that the host hands to the worker at one moment (``blobs.maxDegreeOfParallelism``).
        messages_at_once: Messages of one queue likewise (``queues.batchSize`` and ``newBatchThreshold`` together).
        is_dynamic: Whether the host chooses both itself (``concurrency.dynamicConcurrencyEnabled``).
        pool_threads: Functions that one worker process runs at one moment.
        is_pool_chosen: Whether ``PYTHON_THREADPOOL_THREAD_COUNT`` sets it; otherwise it is the worker's default.
        worker_processes: Worker processes on one instance, each with a model and a decode budget of its own.
        function_timeout_seconds: The host ends an invocation after it; ``None`` is never, or the plan's default.
        redelivery_seconds: How long a message stays hidden after its function failed (``queues.visibilityTimeout``).
        is_base64: Whether the host decodes messages from Base64, and refuses others.
        plan: ``WEBSITE_SKU``: ``FlexConsumption``, ``Dynamic`` ...; empty outside Azure Functions.
    """

    blobs_at_once: int
    messages_at_once: int
    is_dynamic: bool
    pool_threads: int
    is_pool_chosen: bool
    worker_processes: int
    function_timeout_seconds: float | None
    redelivery_seconds: float
    is_base64: bool
    plan: str

    @classmethod
    def read(cls, host_json: Path, environ: Mapping[str, str], processors: int) -> HostLimits:
        """Read ``host.json``, its overrides, and the worker's own settings.

        Args:
            host_json: The file; a missing one means the host's defaults.
            environ: The environment.
            processors: CPUs as the host and the standard library count them: affinity, but no quota.
        """
        config = _Config(_document(host_json), environ)
        plan = environ.get("WEBSITE_SKU", "")
        multiplier = 1 if plan == "Dynamic" else processors  # SkuUtility of the storage extensions
        chosen = _whole(environ.get("PYTHON_THREADPOOL_THREAD_COUNT"), least=1)
        batch = config.whole("extensions.queues.batchSize", 16, least=1)
        return cls(
            blobs_at_once=config.whole("extensions.blobs.maxDegreeOfParallelism", 8 * multiplier, least=1),
            messages_at_once=batch
            + config.whole("extensions.queues.newBatchThreshold", batch // 2 * multiplier, least=0),
            is_dynamic=str(config.value("concurrency.dynamicConcurrencyEnabled")).lower() == "true",
            pool_threads=chosen or min(_MAX_DEFAULT_THREADS, processors + 4),
            is_pool_chosen=chosen is not None,
            worker_processes=_whole(environ.get("FUNCTIONS_WORKER_PROCESS_COUNT"), least=1) or 1,
            function_timeout_seconds=_seconds(config.value("functionTimeout")),
            redelivery_seconds=_seconds(config.value("extensions.queues.visibilityTimeout")) or 0.0,
            is_base64=str(config.value("extensions.queues.messageEncoding") or "base64").lower() == "base64",
            plan=plan,
        )


class _Config:
    """Values of ``host.json`` and its overrides by dotted path. The host ignores the case of an override's name."""

    def __init__(self, document: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self._document = document
        self._overrides = {
            name.lower().removeprefix(_OVERRIDE): value
            for name, value in environ.items()
            if name.lower().startswith(_OVERRIDE)
        }

    def value(self, path: str) -> object:
        overridden = self._overrides.get(path.replace(".", "__").lower())
        if overridden is not None:
            return overridden
        found: Any = self._document
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def whole(self, path: str, default: int, *, least: int) -> int:
        number = _whole(self.value(path), least=least)
        return default if number is None else number


def _document(host_json: Path) -> dict[str, Any]:
    try:
        document = json.loads(host_json.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _whole(value: object, *, least: int) -> int | None:
    try:
        number = int(str(value))
    except ValueError:
        return None
    return number if least <= number <= sys.maxsize else None


def _seconds(value: object) -> float | None:
    """Return the seconds of a .NET time span, ``hh:mm:ss`` or ``d.hh:mm:ss``; ``None`` for ``-1`` and other values."""
    match = _TIME_SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
