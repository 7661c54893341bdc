"""Messages about results: after the commit, at least once, with one id, where a process dies or a queue refuses."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from azure.core.exceptions import HttpResponseError

from inference.errors import ConfigurationError, PermanentError, Reason, TransientError
from storage.actions.after_commit import Actions
from storage.actions.notifications import Notifications, message, message_id
from storage.clients import connect
from storage.connection import Connection
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.messages import Request
from storage.pipeline.outcome import Outcome
from storage.pipeline.queue import RequestQueue
from storage.pipeline.retries import Retries, give_up
from storage.pipeline.stores import Stores
from storage.reconcile.reconcile import Reconciliation
from storage.reconcile.repair import Repair
from storage.results.amend import amend
from storage.results.record import Record, Status
from tests.storage.conftest import MAX_BYTES
from tests.storage.samples import FixedClassifier, record, rejected

if TYPE_CHECKING:
    from tests.conftest import Names
    from tests.storage.conftest import Account
    from tools.azurite.azurite import Azurite

SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "docs" / "notification.schema.json").read_text())


class Scene:
    """An account whose results are announced on a queue of their own."""

    def __init__(self, account: Account, queue: str) -> None:
        self.account = account
        self.queue = queue
        self.labels = frozenset({"fox"})
        self.account.upload("cat.jpg", b"miaow")

    def stores(self, notifications: Notifications | None = None, **changes: Any) -> Stores:
        mine = notifications or Notifications(self.account.clients, self.queue, self.labels)
        return Stores(self.account.source, self.account.results, actions=Actions(notifications=mine), **changes)

    def classify(self, label: str = "fox", **options: Any) -> Outcome:
        return classify_blob(self.stores(), FixedClassifier(label), self.account.image(), **options).outcome

    def row(self) -> Record:
        row = self.account.results.read_row(self.account.image())
        assert row is not None
        assert row.record is not None
        return row.record

    def messages(self) -> list[dict[str, Any]]:
        """Take every message, and read it as another program does: Base64 of JSON that the schema accepts."""
        client = self.account.clients.queues.get_queue_client(self.queue)
        if self.queue not in {each.name for each in self.account.clients.queues.list_queues()}:
            return []
        received = list(client.receive_messages(max_messages=32))
        for each in received:
            client.delete_message(each)
        found = [json.loads(base64.b64decode(each.content)) for each in received]
        for each in found:
            jsonschema.validate(each, SCHEMA)
        return found


@pytest.fixture
def scene(account: Account, names: Names) -> Scene:
    return Scene(account, names.queue("notices"))


class Broken(Notifications):
    """A queue that refuses, or whose process dies behind the request."""

    error: BaseException = ConfigurationError("refused")
    is_sent = False

    def send(self, record: Record) -> None:
        if self.is_sent:
            super().send(record)
        raise self.error


def broken(scene: Scene, error: BaseException, *, is_sent: bool = False) -> Stores:
    made = Broken(scene.account.clients, scene.queue, scene.labels)
    vars(made).update(error=error, is_sent=is_sent)
    return scene.stores(made)


def test_a_match_is_announced_once_with_the_values_of_its_row(scene: Scene) -> None:
    assert scene.classify() is Outcome.COMMITTED
    (found,) = scene.messages()
    row = scene.row()
    assert (found["container"], found["blob_name"], found["etag"]) == (row.container, "cat.jpg", row.etag)
    assert (found["status"], found["label"], found["score"], found["reason"]) == ("classified", "fox", 0.75, None)
    assert datetime.fromisoformat(found["classified_at"]) == row.classified_at
    assert (found["model"], found["model_version"]) == (row.model, row.model_version)
    assert not row.notify_due
    assert scene.classify() is Outcome.DUPLICATE
    assert scene.messages() == []


def test_other_labels_and_rejected_images_are_not_announced(scene: Scene) -> None:
    scene.classify("cat")
    broken_image = FixedClassifier(error=PermanentError(Reason.TRUNCATED, "It ends early."))
    scene.account.upload("cat.jpg", b"half")
    classify_blob(scene.stores(), broken_image, scene.account.image())
    assert scene.messages() == []


def test_without_labels_every_result_is_announced(scene: Scene) -> None:
    scene.labels = frozenset()
    broken_image = FixedClassifier(error=PermanentError(Reason.TRUNCATED, "It ends early."))
    classify_blob(scene.stores(), broken_image, scene.account.image())
    scene.account.upload("cat.jpg", b"other")
    give_up(scene.stores(), scene.account.image(), "It never worked.")
    found = scene.messages()
    assert [(each["status"], each["reason"], each["label"]) for each in found] == [
        ("rejected", "truncated", None),
        ("failed", "gave_up", None),
    ]
    assert found[0]["id"] != found[1]["id"]


def test_a_match_costs_three_requests_and_other_results_none(
    scene: Scene, azurite: Azurite, sent: list[str], names: Names
) -> None:
    scene.classify()  # so that tables and queue exist
    clients = connect(Connection("ImageStorage", azurite.connection_string), max_blob_bytes=MAX_BYTES)
    counted = scene.account.over(clients)
    actions = Actions(notifications=Notifications(clients, scene.queue, scene.labels))
    stores = Stores(counted.source, counted.results, actions=actions)
    for label, expected in (("cat", 6), ("fox", 9)):
        scene.account.upload(f"{label}.png", label.encode())
        sent.clear()
        classify_blob(stores, FixedClassifier(label), scene.account.image(f"{label}.png"))
        assert len(sent) == expected, sent
        sent.clear()
        classify_blob(stores, FixedClassifier(label), scene.account.image(f"{label}.png"))
        assert len(sent) == 2
    clients.close()


@pytest.mark.parametrize("copies", [1, 2], ids=["before it is sent", "after it is sent"])
class TestAProcessThatDies:
    """``KeyboardInterrupt`` stands for the end of a process: no code of ours catches it."""

    @pytest.fixture(autouse=True)
    def died(self, scene: Scene, copies: int) -> None:
        with pytest.raises(KeyboardInterrupt):
            classify_blob(
                broken(scene, KeyboardInterrupt(), is_sent=copies == 2), FixedClassifier("fox"), scene.account.image()
            )
        assert scene.row().notify_due, "the row was committed first"

    def assert_sent(self, scene: Scene, copies: int) -> None:
        found = scene.messages()
        assert len(found) == copies
        assert len({each["id"] for each in found}) == 1
        assert found[0]["label"] == "fox"

    def test_is_made_good_by_the_next_delivery(self, scene: Scene, copies: int) -> None:
        assert scene.classify() is Outcome.DUPLICATE
        self.assert_sent(scene, copies)
        assert not scene.row().notify_due

    def test_is_made_good_by_reconcile(self, scene: Scene, copies: int) -> None:
        stores = scene.stores()
        young = Reconciliation(stores, None, scene.account.incoming, grace_seconds=3600).run()
        assert young.notified == 0, "its own delivery may be about to send it"
        assert Reconciliation(stores, None, scene.account.incoming, dry_run=True).run().notified == 1
        assert Reconciliation(stores, None, scene.account.incoming).run().notified == 1
        self.assert_sent(scene, copies)
        assert Reconciliation(stores, None, scene.account.incoming).run().notified == 0
        assert scene.messages() == []

    def test_is_made_good_by_the_attempt_that_replaces_the_row(self, scene: Scene, copies: int) -> None:
        scene.account.upload("cat.jpg", b"woof")
        assert scene.classify("dog") is Outcome.COMMITTED
        self.assert_sent(scene, copies)
        assert scene.row().label == "dog"

    def test_is_made_good_before_the_row_is_pruned(self, scene: Scene, copies: int) -> None:
        scene.account.delete("cat.jpg")
        assert Repair(scene.stores()).prune_deleted(scene.account.image())
        self.assert_sent(scene, copies)

    def test_is_not_forgotten_where_facts_are_added(self, scene: Scene, copies: int) -> None:
        row = scene.row()
        results, image = scene.account.results, scene.account.image()
        amended = amend(results, image, row.etag, lambda whole: replace(whole, camera_make="Reconyx"))
        assert amended is not None
        assert scene.row().notify_due
        assert scene.classify() is Outcome.DUPLICATE
        self.assert_sent(scene, copies)


def test_a_label_that_is_changed_later_is_another_result(scene: Scene) -> None:
    scene.classify("cat")
    results, image, notifier = scene.account.results, scene.account.image(), scene.stores().actions.notifications

    def change(label: str, version: str) -> None:
        etag = scene.row().etag
        decided = amend(
            results, image, etag, lambda it: replace(it, label=label, decision_version=version), notifier=notifier
        )
        assert decided is not None
        scene.stores().actions.after_commit(results, decided)

    change("fox", "d1")
    (first,) = scene.messages()
    assert (first["label"], first["decision_version"]) == ("fox", "d1")
    change("fox", "d2")
    assert scene.messages() == [], "the label stays"
    change("cat", "d3")
    change("fox", "d4")
    (second,) = scene.messages()
    assert second["id"] != first["id"]


class TestAQueueThatRefuses:
    def test_fails_the_delivery_and_costs_no_result(self, scene: Scene) -> None:
        refusing = broken(scene, ConfigurationError("sending to the queue was refused"))
        for _ in range(2):
            with pytest.raises(ConfigurationError):
                classify_blob(refusing, FixedClassifier("fox"), scene.account.image())
        assert (scene.row().label, scene.row().notify_due) == ("fox", True)

    def test_has_the_image_queued_again_until_it_accepts(self, scene: Scene, names: Names) -> None:
        """Also behind the last delay: the ``failed`` row that would end it is never written."""
        refusing = broken(scene, TransientError("sending to the queue failed"))
        sent: list[tuple[int, int]] = []

        class Requests(RequestQueue):
            def send(self, request: Request, *, delay_seconds: int = 0) -> None:
                sent.append((request.attempt, delay_seconds))

        retries = Retries(refusing, Requests(scene.account.clients), (60,))
        request = Request(scene.account.incoming, ("cat.jpg",))
        retries.classify_request(request, lambda: FixedClassifier("fox"))
        retries.classify_request(replace(request, attempt=1), lambda: FixedClassifier("fox"))
        assert sent == [(1, 60), (1, 60)]
        assert (scene.row().status, scene.row().notify_due) == (Status.CLASSIFIED, True)

    def test_keeps_the_row_that_owes_a_message_from_being_replaced(self, scene: Scene) -> None:
        refusing = broken(scene, ConfigurationError("refused"))
        with pytest.raises(ConfigurationError):
            classify_blob(refusing, FixedClassifier("fox"), scene.account.image())
        scene.account.upload("cat.jpg", b"woof")
        with pytest.raises(ConfigurationError):
            classify_blob(refusing, FixedClassifier("dog"), scene.account.image())
        assert scene.row().label == "fox"
        assert scene.classify("dog") is Outcome.COMMITTED
        assert [each["label"] for each in scene.messages()] == ["fox"]

    def test_is_explained(self, scene: Scene) -> None:
        error = HttpResponseError("no")
        error.status_code = 403

        class Queue:
            queue_name = "notices"

            def send_message(self, *_: Any, **__: Any) -> None:
                raise error

        notifications = Notifications(scene.account.clients, "notices")
        vars(notifications)["_queue"] = Queue()
        with pytest.raises(ConfigurationError, match="sending to the queue notices was refused by storage"):
            notifications.send(record())


def test_a_row_that_another_attempt_replaces_meanwhile_keeps_its_own_mark(scene: Scene) -> None:
    """Between the message and the removal of the mark a newer content is committed, whose message is due as well."""
    with pytest.raises(KeyboardInterrupt):
        classify_blob(broken(scene, KeyboardInterrupt()), FixedClassifier("fox"), scene.account.image())

    class Slow(Notifications):
        def send(self, record: Record) -> None:
            super().send(record)
            scene.account.upload("cat.jpg", b"another fox")
            with pytest.raises(KeyboardInterrupt):
                classify_blob(broken(scene, KeyboardInterrupt()), FixedClassifier("fox"), scene.account.image())
            newer = scene.account.results.read_row(scene.account.image())
            assert newer is not None
            assert newer.record is not None
            scene.account.results.write_row(replace(newer.record, etag="newer"), newer)

    assert Slow(scene.account.clients, scene.queue).send_due(scene.account.results, scene.account.image())
    assert (scene.row().etag, scene.row().notify_due) == ("newer", True)


def test_sidecar_and_index_rows_do_not_change_when_the_message_is_sent(scene: Scene) -> None:
    with pytest.raises(KeyboardInterrupt):
        classify_blob(broken(scene, KeyboardInterrupt()), FixedClassifier("fox"), scene.account.image())
    before = Reconciliation(Stores(scene.account.source, scene.account.results), None, scene.account.incoming).run()
    assert (before.repaired, before.index_removed, before.notified) == (0, 0, None)
    sidecar = scene.account.results.read_sidecar(scene.account.image())
    assert sidecar is not None
    scene.classify()
    again = scene.account.results.read_sidecar(scene.account.image())
    assert again is not None
    assert again.etag == sidecar.etag


class TestIds:
    def test_are_those_of_the_result(self) -> None:
        one = record()
        same = replace(one, classified_at=one.classified_at + timedelta(hours=1), score=0.5, notify_due=True)
        assert message_id(one) == message_id(same)
        others = [
            replace(one, etag="0x2"),
            replace(one, model_version="f" * 12),
            replace(one, decision_version="d1"),
            replace(one, label="dog"),
            replace(one, container="incoming/cat.jpg", blob_name=""),
            rejected("cat.jpg"),
        ]
        assert len({message_id(each) for each in [one, *others]}) == len(others) + 1

    def test_a_label_of_any_length_fits_a_message(self) -> None:
        longest = message(record("\U0001f431" * 500, label="\U0001f431" * 30_000, reason="x"))
        assert len(base64.b64encode(json.dumps(longest, ensure_ascii=False).encode())) < 64 * 1024
