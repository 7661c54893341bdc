"""Each upload ends in the row that the documents promise, under Microsoft's own trigger extensions.

``test_same_rows.py`` tries names, kinds of blobs, overwrites, two hosts, deaths and stops on both hosts.
"""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from storage.pipeline import messages
from storage.pipeline.queue import RequestQueue
from tests.tools.webjobs.conftest import INTERNAL_QUEUE, Lab, quick_host_json
from tests.tools.webjobs.photos import photo
from tests.waiting import until
from tools.sample_photos.samples import render_samples
from tools.webjobs.events import CREATED, DELETED, blob_event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tools.webjobs.conftest import Accounts
    from tools.webjobs.app_host import AppHost


class Webhook(NamedTuple):
    """An app whose uploads arrive as events, and its storage."""

    lab: Lab
    app: AppHost


@pytest.fixture(scope="module")
def webhook(
    program: Path, worker_python: Path, accounts: Accounts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Webhook]:
    """One app for a module: each test has blobs of its own names, and a host and its worker take seconds to start."""
    lab = Lab(program, worker_python, accounts.pair(), tmp_path_factory.mktemp("webhook"))
    with lab.app(BLOB_TRIGGER_SOURCE="EventGrid") as app:
        yield Webhook(lab, app)
    lab.clients.close()


def endings(app: AppHost) -> list[Any]:
    """How the invocations ended so far: None for well, or the error."""
    return [each.get("error", "open") for each in app.invocations]


def event(lab: Lab, name: str, *, container: str = "incoming", kind: str = CREATED) -> Any:
    return blob_event(lab.clients.blobs.get_blob_client(container, name).url, kind=kind)


class TestUploads:
    def test_the_samples_of_the_demo(self, lab: Lab) -> None:
        """With the two connections alone: every other setting has its default.

        The photos lie there before: the emulator's scanner misses some that come while it looks.
        """
        samples = render_samples()
        for sample in samples:
            lab.upload(sample.name, sample.content)
        with lab.app() as app:
            rows = lab.wait_for_rows(*(sample.name for sample in samples))
            assert {name: (str(row.status), row.label, row.reason) for name, row in rows.items()} == {
                sample.name: (sample.status, sample.label, sample.reason) for sample in samples
            }
            until(lambda: endings(app) == [None] * len(samples))
        assert app.host.exit_code == 0
        assert app.worker_starts == 1


class TestEventGrid:
    """In one class, which ``--dist loadscope`` gives to one process, so that they share the app."""

    def test_each_event_ends_in_the_row_that_is_promised(self, webhook: Webhook) -> None:
        lab, app = webhook
        lab.upload("new.jpg", photo())
        lab.upload("twice.jpg", photo())
        lab.upload("still there.jpg", photo())
        neighbour = lab.clients.blobs.create_container("neighbour")
        neighbour.upload_blob("theirs.jpg", photo())
        reply = app.deliver(
            [{**event(lab, "new.jpg"), "data": {"validationCode": "code-1"}}], event_type="SubscriptionValidation"
        )
        assert (reply.status, json.loads(reply.body)) == (200, {"validationResponse": "code-1"})
        events = [
            event(lab, "new.jpg"),
            event(lab, "twice.jpg"),
            event(lab, "twice.jpg"),
            event(lab, "still there.jpg", kind=DELETED),
            event(lab, "gone.jpg"),
            event(lab, "theirs.jpg", container="neighbour"),
        ]
        assert app.deliver(events).status == 202
        names = ("new.jpg", "twice.jpg", "still there.jpg")
        rows = lab.wait_for_rows(*names)
        until(lambda: lab.waiting(INTERNAL_QUEUE) == 0)
        until(lambda: "open" not in endings(app))
        assert {name: str(rows[name].status) for name in names} == dict.fromkeys(names, "classified")
        assert not {"gone.jpg", "theirs.jpg"} & set(lab.rows())
        assert "event_ignored" in app.worker_log
        assert set(endings(app)) == {None}

    def test_the_webhook_fails_at_the_event_of_a_renamed_file(self, webhook: Webhook) -> None:
        """So the subscription leaves ``BlobRenamed`` out, and ``reconcile`` finds such files (ADR 23)."""
        lab, app = webhook
        lab.upload("renamed.jpg", photo())
        renamed = event(lab, "renamed.jpg", kind="Microsoft.Storage.BlobRenamed")
        url = renamed["data"].pop("url")
        renamed["data"] |= {"api": "RenameFile", "sourceUrl": url.replace("renamed", "earlier"), "destinationUrl": url}
        assert app.deliver([renamed]).status == 500

    def test_messages_of_classify_requests(self, webhook: Webhook) -> None:
        lab, _ = webhook
        names = ("asked for.jpg", "other/asked for.jpg")
        for name in names:
            lab.upload(name, photo())
        RequestQueue(lab.clients).send(messages.Request("incoming", names))
        rows = lab.wait_for_rows(*names)
        assert {str(rows[name].status) for name in names} == {"classified"}


class TestTrouble:
    def test_a_function_that_outlives_its_time(self, lab: Lab) -> None:
        with lab.app(quick_host_json(functionTimeout="00:00:20")) as app:
            os.kill(app.process_ids[1], signal.SIGSTOP)
            lab.upload("slow.jpg", photo())
            rows = lab.wait_for_rows("slow.jpg")
        assert str(rows["slow.jpg"].status) == "classified"
        assert app.worker_starts == 2
        assert "Timeout value of 00:00:20" in app.host.log
