"""App settings, read as the Functions host reads them, and the id of the host.

The environment wins over ``local.settings.json``, which wins over the app's defaults.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import sys
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
    "host derives it from machine, folder and `INCOMING_CONTAINER` by default.",
)


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
    local = read_json(root / "local.settings.json")
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
    """Return the id that names queue and receipts: as set, or stable for this machine, folder and container."""
    chosen = HOST_ID.read(settings)
    machine = "".join(letter for letter in socket.gethostname() if letter.isascii() and letter.isalnum())
    # Two hosts of one folder, each for its own container, are two apps: they must not read each other's queue.
    container = settings.get("INCOMING_CONTAINER", DEFAULTS["INCOMING_CONTAINER"])
    app = os.fsencode(root) + (b"" if container == DEFAULTS["INCOMING_CONTAINER"] else b"\0" + container.encode())
    digest = hashlib.sha256(app).hexdigest()
    # The digest is never cut: two folders on a machine with a long name must not share receipts.
    identity = chosen or f"{machine[: _HOST_ID_LENGTH - 13]}-{digest[:12]}"
    identity = identity[:_HOST_ID_LENGTH].lower().rstrip("-")
    if not re.fullmatch(r"[a-z0-9](-?[a-z0-9])*", identity):
        raise ConfigurationError(f"{HOST_ID.name} must be {HOST_ID.expected}.")
    return identity


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; a missing file is an empty one.

    Raises:
        ConfigurationError: The file cannot be read, or holds something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error}.") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path.name} must hold a JSON object.")
    return document


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
