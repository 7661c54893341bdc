"""App settings and ``host.json``, read as the Functions host reads them.

The environment wins over ``local.settings.json``, which wins over the product's own defaults.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azure.core.utils import CaseInsensitiveDict

from inference.errors import ConfigurationError
from storage.setting import Parser, Setting, whole
from storage.settings import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from pathlib import Path

VISIBILITY_SECONDS = Setting(
    "DEV_HOST_VISIBILITY_SECONDS",
    whole(1, 7 * 24 * 3600),  # the queue service's own limit
    "Dev host only: how long a received message stays hidden, in seconds.",
    "600",
)
_HOST_ID_LENGTH = 32
HOST_ID = Setting(
    "AzureFunctionsWebHost__hostid",
    Parser(str, "letters and digits, single dashes between them"),
    f"The id of the host: it names the internal queue and the receipts. At most {_HOST_ID_LENGTH} characters. The dev "
    "host derives it from machine and folder by default.",
)
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
        new_batch_threshold: The next batch is received when no more than this many are in work.
        max_dequeue_count: Deliveries before a message goes to the poison queue.
        failure_delay_seconds: How long a failed message stays hidden.
        max_polling_seconds: The longest pause between looks at an empty queue.
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
        """How many messages may be in work at one moment."""
        return self.batch_size + self.new_batch_threshold


@dataclass(frozen=True, slots=True)
class HostJson:
    """What this host uses of ``host.json``.

    Attributes:
        blob_queue: How the blob triggers' internal queue is served.
        queues: How every queue trigger's queue is served.
        log_levels: ``logging.logLevel``: category to level name.
        function_timeout_seconds: After which Azure would end the invocation; ``None`` for no limit stated.
    """

    blob_queue: QueueOptions
    queues: QueueOptions
    log_levels: Mapping[str, str] = field(default_factory=dict)
    function_timeout_seconds: float | None = None


def load_settings(root: Path, environ: Mapping[str, str], development_storage: str) -> MutableMapping[str, str]:
    """Return every app setting, from the environment, ``local.settings.json`` and the defaults, in this order.

    Args:
        root: The function app's folder.
        environ: The environment.
        development_storage: What ``UseDevelopmentStorage=true`` stands for; the Python SDK and the bindings extension
            do not understand the short form.

    Raises:
        ConfigurationError: ``local.settings.json`` cannot be read.
    """
    local = _read_json(root / "local.settings.json")
    values = local.get("Values", {})
    if local.get("IsEncrypted") or not isinstance(values, dict):
        raise ConfigurationError('local.settings.json must have plain "Values": run `func settings decrypt`.')
    # Names of Windows's environment have no case, and Python lists them in upper case.
    settings: MutableMapping[str, str] = CaseInsensitiveDict() if sys.platform == "win32" else {}
    settings.update(DEFAULTS)
    settings.update({str(name): _as_text(value) for name, value in values.items()})
    settings.update(environ)
    for name, value in settings.items():
        if value.strip().rstrip(";").lower() == "usedevelopmentstorage=true":
            settings[name] = development_storage
    return settings


def resolve(text: str, settings: Mapping[str, str], function: str) -> str:
    """Replace every ``%NAME%`` by that setting.

    Raises:
        ConfigurationError: A setting is missing; names it and the function.
    """

    def value(match: re.Match[str]) -> str:
        found = settings.get(match[1])
        if not found:
            raise ConfigurationError(
                f"{function} needs the setting {match[1]}, which is not set: put it into local.settings.json or the "
                "environment."
            )
        return found

    return re.sub(r"%([^%]+)%", value, text)


def host_id(root: Path, settings: Mapping[str, str]) -> str:
    """Return the id that names the internal queue and the receipts: as set, or stable for this machine and folder."""
    chosen = HOST_ID.read(settings)
    machine = "".join(letter for letter in socket.gethostname() if letter.isascii() and letter.isalnum())
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()
    # The digest is never cut: two folders on a machine with a long name must not share receipts.
    identity = chosen or f"{machine[: _HOST_ID_LENGTH - 13]}-{digest[:12]}"
    identity = identity[:_HOST_ID_LENGTH].lower().rstrip("-")
    if not re.fullmatch(r"[a-z0-9](-?[a-z0-9])*", identity):
        raise ConfigurationError(f"{HOST_ID.name} must be {HOST_ID.expected}.")
    return identity


def read_host_json(root: Path, processors: int) -> HostJson:
    """Read ``host.json``; a missing file means the host's defaults.

    Raises:
        ConfigurationError: A value is not what the host takes; names it.
    """
    document = _read_json(root / "host.json")
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error}.") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path.name} must hold a JSON object.")
    return document


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


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
