"""One list of scenarios, run on the dev host and on Microsoft's extensions, and compared with recorded facts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import azure.functions as func
import pytest

from tests.hosts.scenarios import SCENARIOS

if TYPE_CHECKING:
    from tests.hosts.lab import Lab

FOLDER = Path(__file__).parent
RECORDED = json.loads((FOLDER / "recorded.json").read_text(encoding="utf-8"))
OBSERVED = json.loads((FOLDER / "observed.json").read_text(encoding="utf-8"))  # adds to it

# They start a host many times. The facts were recorded on the extensions; ALL_SCENARIOS=yes tries them there again.
MANY_STARTS = {"injected", "too often", "concurrency"}
ON_EXTENSIONS = [name for name in SCENARIOS if name not in MANY_STARTS or os.environ.get("ALL_SCENARIOS") == "yes"]

DELIVERIES = {title: facts for title, facts in RECORDED["webhook"].items() if facts["method"] == "POST"}


def facts_of(name: str, lab: Lab) -> object:
    return json.loads(json.dumps(SCENARIOS[name](lab)))


def expected(name: str) -> object:
    return RECORDED.get(name, {}) | OBSERVED.get(name, {})


@pytest.mark.parametrize("name", SCENARIOS)
class TestDevHost:
    def test_it_yields_the_recorded_facts(self, dev_host: Lab, name: str) -> None:
        assert facts_of(name, dev_host) == expected(name)


@pytest.mark.parametrize("name", ON_EXTENSIONS)
class TestExtensions:
    def test_they_yield_the_recorded_facts(self, extensions: Lab, name: str) -> None:
        assert facts_of(name, extensions) == expected(name)


class TestWebhook:
    def test_the_webhook_answers_as_recorded(self, extensions: Lab) -> None:
        """The dev host has no webhook. ``events`` holds both hosts to the messages that this one writes."""
        lab = extensions
        lab.incoming.create_container()
        lab.blobs.create_container("other").upload_blob("a.jpg", b"x")
        for name in ("a.jpg", "dir/b 1.jpg", "100%.jpg", "Ü#1.jpg", "a%20b.jpg", "plus+.jpg"):
            lab.put(name)
        facts = {}
        with lab.host(source=func.BlobSource.EVENT_GRID) as host:
            for title, recorded in DELIVERIES.items():
                before = len(extensions.recorder.calls)
                headers = {"aeg-event-type": recorded["type"]} if recorded["type"] else {}
                status, answer = host.deliver(headers, recorded["body"].replace("ACCOUNT", lab.blobs.url.rstrip("/")))
                lab.wait_until_empty()
                called = sorted(f"{call.container}/{call.key}" for call in lab.recorder.calls[before:])
                facts[title] = [status, answer if status < 500 else None, called]
        answers = {title: [each["status"], each["answer"], each["called for"]] for title, each in DELIVERIES.items()}
        # The recorder's function takes the blob's name as a second argument. One with a reference alone is called.
        answers["another container"][2] = ["other/a.jpg"]
        assert facts == answers
