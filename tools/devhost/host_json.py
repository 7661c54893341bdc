"""The values of ``host.json`` that this host uses, with the Functions host's defaults."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError
from tools.devhost.settings import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Forms that .NET's TimeSpan.Parse reads: d, [d.]hh:mm[:ss[.fff]], d:hh:mm:ss[.fff].
_TIME_SPAN = re.compile(
    r"(?P<only_d>\d+)|(?:(?P<d>\d+)[.:])??(?P<h>\d{1,2}):(?P<m>\d{1,2})(?::(?P<s>\d{1,2}(?:\.\d{1,7})?))?", re.ASCII
)
_MOST_DAYS = 10_675_199  # TimeSpan.MaxValue


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """How one queue is served (``extensions.queues``; a blob trigger's queue derives its own).

    Attributes:
        batch_size: Messages received at once, 1 to 32.
        new_batch_threshold: The next batch is received when at most this many messages are running.
        max_dequeue_count: Deliveries before a message goes to the poison queue.
        failure_delay_seconds: How long a failed message stays hidden.
        max_polling_seconds: The longest pause between polls of an empty queue.
        base64: Whether message texts are Base64.
    """

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    failure_delay_seconds: int = 0
    max_polling_seconds: float = 60.0
    base64: bool = True

    @property
    def at_once(self) -> int:
        """How many messages may run at one moment."""
        return self.batch_size + self.new_batch_threshold


@dataclass(frozen=True, slots=True)
class HostJson:
    """The values of ``host.json`` that this host uses.

    Attributes:
        blob_queue: How the blob triggers' internal queue is served.
        queues: How every queue trigger's queue is served.
        log_levels: ``logging.logLevel``: category to level name.
        function_timeout_seconds: Azure would end an invocation after it; ``None`` where there is no limit.
    """

    blob_queue: QueueOptions
    queues: QueueOptions
    log_levels: Mapping[str, str] = field(default_factory=dict)
    function_timeout_seconds: float | None = None


def read_host_json(root: Path, processors: int) -> HostJson:
    """Read ``host.json``; a missing file means the host's defaults.

    Raises:
        ConfigurationError: The host would refuse a value; names it.
    """
    document = read_json(root / "host.json")
    extensions = _section(document, "extensions")
    blobs, queues = _section(extensions, "blobs"), _section(extensions, "queues")
    parallelism = _whole(blobs, "extensions.blobs.maxDegreeOfParallelism", 8 * processors, 1, 10_000)
    blob_batch = min(32, parallelism // 2 + 1)
    batch = _whole(queues, "extensions.queues.batchSize", 16, 1, 32)
    encoding = str(queues.get("messageEncoding", "base64")).lower()
    if encoding not in ("base64", "none"):
        raise ConfigurationError("host.json: extensions.queues.messageEncoding must be base64 or none.")
    timeout = document.get("functionTimeout")
    return HostJson(
        blob_queue=QueueOptions(
            batch_size=blob_batch,
            new_batch_threshold=parallelism - blob_batch,
            max_dequeue_count=_whole(blobs, "extensions.blobs.poisonBlobThreshold", 5, 1, 10_000),
        ),
        queues=QueueOptions(
            batch_size=batch,
            new_batch_threshold=_whole(
                queues, "extensions.queues.newBatchThreshold", batch // 2 * processors, 0, 10_000
            ),
            max_dequeue_count=_whole(queues, "extensions.queues.maxDequeueCount", 5, 1, 10_000),
            failure_delay_seconds=int(time_span(queues.get("visibilityTimeout", "00:00:00"))),
            max_polling_seconds=time_span(queues.get("maxPollingInterval", "00:01:00")),
            base64=encoding == "base64",
        ),
        log_levels={
            str(name): str(level) for name, level in _section(_section(document, "logging"), "logLevel").items()
        },
        function_timeout_seconds=None if timeout in (None, "-1") else time_span(timeout),
    )


def time_span(value: object) -> float:
    """Read a .NET time span in seconds: ``hh:mm:ss`` above all. A JSON number is milliseconds.

    As in .NET, digits alone are days, and ``24:00:00`` is 24 days: three parts whose first is more than 23 are days,
    hours and minutes.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return value / 1000
    match = _TIME_SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match:
        days, hours, minutes = (int(match[name] or 0) for name in ("d", "h", "m"))
        days, seconds = int(match["only_d"] or days), float(match["s"] or 0)
        if match["d"] is None and hours > 23 and match["s"] and seconds.is_integer():
            days, hours, minutes, seconds = hours, minutes, int(seconds), 0.0
        if days <= _MOST_DAYS and hours <= 23 and minutes <= 59 and seconds < 60:
            return days * 86400 + hours * 3600 + minutes * 60 + seconds
    raise ConfigurationError(f"{value!r} is no time span: write hh:mm:ss.")


def _section(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = document.get(name, {})
    if not isinstance(section, dict):
        raise ConfigurationError(f"host.json: {name} must be an object.")
    return section


def _whole(section: Mapping[str, Any], path: str, default: int, least: int, most: int) -> int:
    value = section.get(path.rpartition(".")[2], default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(f"host.json: {path} must be a whole number from {least} to {most}.")
    return value
