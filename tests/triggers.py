"""The bindings that the host must find when it indexes the app with default settings."""

from __future__ import annotations

from typing import Any

TRIGGERS: dict[str, dict[str, Any]] = {
    "classify_uploaded": {
        "type": "blobTrigger",
        "name": "blob",
        "path": "incoming/{name}",
        "connection": "ImageStorage",
        "source": "LogsAndContainerScan",
    },
    "classify_requested": {
        "type": "queueTrigger",
        "name": "message",
        "queueName": "classify-requests",
        "connection": "ImageStorage",
    },
    "recover_poisoned": {
        "type": "queueTrigger",
        "name": "message",
        "queueName": "webjobs-blobtrigger-poison",
        "connection": "ImageStorage",
    },
    "record_abandoned": {
        "type": "queueTrigger",
        "name": "message",
        "queueName": "classify-requests-poison",
        "connection": "ImageStorage",
    },
    "reconcile": {
        "type": "timerTrigger",
        "name": "timer",
        "schedule": "0 0 * * * *",
        "runOnStartup": False,
    },
}
_CHOSEN = {name for each in TRIGGERS.values() for name in each}


def trigger(bindings: list[dict[str, Any]]) -> dict[str, Any]:
    """A function's one binding as far as we choose it: the rest is the library's to say."""
    (binding,) = bindings
    assert str(binding["direction"]).lower() == "in"
    return {name: value for name, value in binding.items() if name in _CHOSEN}
