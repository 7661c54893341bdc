"""Condense the recordings beside ``webjobs-host`` into the facts of the scenarios.

    python -m tests.hosts.condense ../shared/webjobs-host/recordings > tests/hosts/recorded.json

The emulator's scanner misses uploads (13 of 100), so overwrites are taken from the production scanner's recording. The
recorder's functions take a ``BlobClient`` of .NET, which cannot open append and page blobs. What a function with a
reference gets, and further messages, are in ``observed.json``, from runs of the program on 2026-11-28.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

from tests.hosts.internal_queue import EVENTS
from tests.hosts.lab import without_etag
from tests.hosts.queues import queue_facts
from tests.hosts.recording_app import Call
from tests.hosts.running import PARALLELISM
from tests.hosts.uploads import GONE, failure_facts, messages_facts

Scenario = dict[str, Any]


def condense(recordings: Path) -> dict[str, Any]:
    """Return the facts by scenario."""
    emulator = json.loads((recordings / "emulator.json").read_text(encoding="utf-8"))
    account = json.loads((recordings / "account.json").read_text(encoding="utf-8"))
    busy = emulator["messages"]
    waiting = _note(busy, "queues while busy")["host/azure-webjobs-blobtrigger-recorder"]
    overwritten = _versions(account["overwrite"])
    finished = [note["note"].removeprefix("finished ") for note in emulator["stop while busy"]["notes"]]
    return {
        "names": {"versions": _versions(emulator["names"]), "receipts": _receipts(emulator["names"]["files"])},
        "failure": failure_facts(
            _calls(emulator["failure"]), _versions(emulator["failure"]), _receipts(emulator["failure"]["files"])
        ),
        "messages": messages_facts(
            waiting["length"],
            [message["raw"] for message in waiting["messages"]],
            _receipts(_note(busy, "files while busy")),
        ),
        "overwrite": {"versions": {name: overwritten[name] for name in ("slow.jpg", "same.jpg")}},
        "busy overwrite": _of_waiting(emulator["busy overwrite"], "waiting.jpg", "queues before the overwrite"),
        "deleted": _of_waiting(emulator["deleted"], "gone.jpg", "queues before the deletion"),
        "restart": {"versions": _versions(emulator["restart"])},
        "late container": {"versions": _versions(emulator["late container"])},
        "hosts container gone": {
            "versions": {name: _versions(emulator["hosts container gone"])[name] for name in GONE},
            "container": "azure-webjobs-hosts" in _note(emulator["hosts container gone"], "containers"),
        },
        "two hosts": {"most calls of a blob": max(map(sum, _versions(emulator["two hosts"]).values()))},
        "queue": queue_facts(_calls(emulator["queue"]), _left(emulator["queue"])),
        "foreign poison": {
            "calls": len(_calls(emulator["foreign poison"])),
            "left": _left(emulator["foreign poison"]),
        },
        "stop while busy": {
            "stopped before its calls": finished[-1] != "stopped",
            "finished": sorted(set(finished) - {"stopping", "stopped"}),
            "exit": 0,
            "left": _left(emulator["stop while busy"]),
        },
        "kinds": {"versions": _versions(emulator["kinds"]), "left": _left(emulator["kinds"])},
        "concurrency": {
            "more at once than maxDegreeOfParallelism": [
                each for each in PARALLELISM if _note(emulator["concurrency"], f"maxDegreeOfParallelism {each}") > each
            ]
        },
        "injected": {
            note["note"]: {
                "calls": note["data"]["calls"],
                "left": note["data"]["queues"]["host/azure-webjobs-blobtrigger-recorder"]["length"],
                "ends the host": any(text.startswith("ENDS THE PROCESS") for text in note["data"]["logs"]),
            }
            for note in emulator["injected"]["notes"]
        },
        "events": {
            "called for": {
                title: [name.removeprefix("incoming/") for name in _note(emulator["webhook"], title)["called_for"]]
                for title in EVENTS
            },
            "receipts": _receipts(emulator["webhook"]["files"]),
        },
        "webhook": {
            note["note"]: {
                "type": note["data"]["type"],
                "method": note["data"]["method"],
                "body": _anonymous(note["data"]["body"]),
                "status": note["data"]["answer"] if isinstance(note["data"]["answer"], int) else 500,
                "answer": note["data"]["answer_body"],
                "called for": note["data"]["called_for"],
            }
            for note in emulator["webhook"]["notes"]
            if "function" not in note["note"]
        },
    }


def _anonymous(body: str) -> str:
    """Replace the recorder's address of the image account."""
    return re.sub(r"http://127\.0\.0\.1:\d+/\w+", "ACCOUNT", body)


def _note(scenario: Scenario, title: str) -> Any:
    return next(note["data"] for note in scenario["notes"] if note["note"] == title)


def _calls(scenario: Scenario) -> list[Call]:
    return [
        Call(
            each["function"],
            each.get("message", each["key"]),
            each["attempt"],
            each["at_ms"] / 1000,
            etag=each.get("ETag_H"),
            dequeue_count=each.get("dequeueCount"),
        )
        for each in scenario["calls"]
    ]


def _versions(scenario: Scenario) -> dict[str, list[int]]:
    found: dict[str, dict[str | None, int]] = {}
    for call in _calls(scenario):
        if call.function == "classify_uploaded":
            versions = found.setdefault(call.key, {})
            versions[call.etag] = versions.get(call.etag, 0) + 1
    return {name: list(versions.values()) for name, versions in found.items()}


def _receipts(files: list[dict[str, Any]]) -> list[list[Any]]:
    return sorted(
        [without_etag(file["name"]), file["metadata"]] for file in files if file["name"].startswith("blobreceipts/")
    )


def _left(scenario: Scenario) -> dict[str, dict[str, int]]:
    return {
        name.partition("/")[2]: {"length": queue["length"], "visible": len(queue["messages"])}
        for name, queue in scenario["queues"].items()
        if queue["length"]
    }


def _of_waiting(scenario: Scenario, name: str, before: str) -> Scenario:
    """Whether the version that waited was called."""
    (message,) = _note(scenario, before)["host/azure-webjobs-blobtrigger-recorder"]["messages"]
    waited = json.loads(base64.b64decode(message["raw"]))
    assert waited["BlobName"] == name
    called = [call.etag for call in _calls(scenario) if call.key == name]
    return {
        "versions": _versions(scenario),
        "old version called": waited["ETag"] in called,
        "left": _left(scenario),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(condense(Path(sys.argv[1])), indent=1, ensure_ascii=False, sort_keys=True) + "\n")
