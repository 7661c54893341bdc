"""Reconciliation on a real emulator: whatever was broken by hand is found, mended once, and then left in peace."""

from __future__ import annotations

import json
import logging
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

from storage import keys, tables
from storage.clients import Clients, connect
from storage.connection import Connection
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.messages import QUEUE, Request, batches
from storage.pipeline.queue import RequestQueue
from storage.pipeline.retries import give_up
from storage.pipeline.stores import Stores
from storage.reconcile.reconcile import Reconciliation, Summary, reconcile_on_timer
from storage.results.record import IndexRow, Record, Status
from storage.results.serialization import to_sidecar
from tests.storage.samples import AWKWARD_NAMES, MODEL, FixedClassifier, record

if TYPE_CHECKING:
    from tests.storage.conftest import Account


IMAGES = ["a.jpg", "b.jpg", "site a/c.jpg", "site a/d.jpg", "site b/e.jpg"]
NOTHING = {"missing": 0, "stale": 0, "enqueued": 0, "repaired": 0, "index_removed": 0, "pruned": 0}


class SentRequests:
    """Stands where the queue does, and keeps what it is given."""

    def __init__(self, waiting: int = 0) -> None:
        self.requests: list[Request] = []
        self._waiting = waiting

    def send(self, request: Request, *, delay_seconds: int = 0) -> None:
        self.requests.append(request)

    def approximate_message_count(self) -> int:
        return self._waiting

    @property
    def names(self) -> list[str]:
        return [name for request in self.requests for name in request.blobs]


class Scene:
    """An account in which every image is settled, until a test breaks something."""

    def __init__(self, account: Account, names: list[str]) -> None:
        self.account = account
        self.stores = Stores(account.source, account.results)
        self.classifier = FixedClassifier()
        for name in names:
            account.upload(name, name.encode())
            self.classify_blob(name)

    def classify_blob(self, name: str, classifier: FixedClassifier | None = None, **options: Any) -> Record | None:
        return classify_blob(self.stores, classifier or self.classifier, self.account.image(name), **options).record

    def record(self, name: str) -> Record:
        row = self.account.results.read_row(self.account.image(name))
        assert row is not None
        assert row.record is not None
        return row.record

    def sidecar(self, name: str) -> Record | None:
        stored = self.account.results.read_sidecar(self.account.image(name))
        return stored.record if stored else None

    def delete_row(self, name: str) -> None:
        stored = self.account.results.read_row(self.account.image(name))
        assert stored is not None
        self.account.results.delete_row(self.account.image(name), stored.etag)

    def sidecar_blob(self, name: str) -> Any:
        return self.account.clients.blobs.get_blob_client(self.account.container, keys.sidecar_name(name))

    def expected_index(self, names: list[str]) -> set[tuple[str, str]]:
        return {row.keys for name in names for row in self.record(name).index_rows()}

    def reconcile(self, **options: Any) -> tuple[dict[str, Any], list[str]]:
        """Run once; what changed by name, and the names that were sent."""
        sent = SentRequests()
        summary = Reconciliation(self.stores, sent, self.account.incoming, **options).run()  # type: ignore[arg-type]
        return summary.as_dict(), sent.names

    def must_be_whole(self, names: list[str]) -> None:
        """Row, sidecar and index agree for these images, and nothing else is there."""
        for name in names:
            assert self.sidecar(name) == self.record(name)
        assert self.account.index_keys() == self.expected_index(names)
        assert self.reconcile(prune=True)[0] == found(len(names))


def found(images: int, rows: int | None = None, coverage: float = 1.0, **others: int) -> dict[str, Any]:
    return {"images": images, "rows": images if rows is None else rows, **NOTHING, "coverage": coverage, **others}


@pytest.fixture
def scene(account: Account) -> Scene:
    return Scene(account, IMAGES)


def test_a_settled_container_needs_nothing_and_is_sent_no_write(
    account: Account, sent: list[str], azurite: Any
) -> None:

    scene = Scene(account, [*AWKWARD_NAMES.values(), "x" * 1024, "deep/" * 120 + "a.jpg"][:0] or IMAGES)
    watched = account.over(connect(Connection("ImageStorage", azurite.connection_string)))
    sent.clear()
    scene.stores = Stores(watched.source, watched.results)
    assert scene.reconcile(prune=True) == (found(5), [])
    assert {request.split()[0] for request in sent} == {"GET"}
    assert len(sent) == 5  # blobs, rows, rows again, sidecars, index


def test_an_account_where_nothing_exists_yet_is_empty_and_stays_so(account: Account) -> None:
    account.clients.blobs.delete_container(account.incoming)
    stores = Stores(account.source, account.results)
    assert Reconciliation(stores, None, account.incoming, prune=True).run() == Summary()
    for container in (account.incoming, account.container):
        assert not account.clients.blobs.get_container_client(container).exists()
    with pytest.raises(ResourceNotFoundError):
        next(account.clients.tables.get_table_client(account.table).list_entities())


def test_awkward_names_are_no_work(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PAGE", 3)
    names = [name for name in AWKWARD_NAMES.values() if "\\" not in name]  # storage makes a slash of a backslash
    names += ["x" * 1024, "deep/" * 100 + "y" * 500 + ".jpg"]
    scene = Scene(account, names)
    scene.must_be_whole(names)
    assert scene.reconcile()[0] == found(len(names))


def test_lost_events_are_sent_round_once_settled_they_are_no_work(scene: Scene) -> None:
    late = [f"late/{i:03d}.jpg" for i in range(40)]
    for name in late:
        scene.account.upload(name, b"x")
    summary, sent = scene.reconcile()
    assert summary == found(45, rows=5, coverage=5 / 45, missing=40, enqueued=40)
    assert sorted(sent) == late
    for name in sent:
        scene.classify_blob(name)
    scene.must_be_whole(IMAGES + late)


def test_an_overwritten_image_is_stale_until_it_is_settled_again(scene: Scene) -> None:
    scene.account.upload("b.jpg", b"other content")
    assert scene.reconcile() == (found(5, coverage=0.8, stale=1, enqueued=1), ["b.jpg"])
    scene.classify_blob("b.jpg")
    scene.must_be_whole(IMAGES)


def test_a_failed_row_is_left_to_redrive(scene: Scene) -> None:
    scene.account.upload("b.jpg", b"other content")
    give_up(scene.stores, scene.account.image("b.jpg"), "The model was away.")
    assert scene.record("b.jpg").status is Status.FAILED
    assert scene.reconcile() == (found(5), [])


def test_a_row_by_another_model_is_left_to_backfill(scene: Scene) -> None:
    """A new model must not send a million images round by itself."""
    assert scene.classifier.model == MODEL
    scene.classify_blob("a.jpg", FixedClassifier(model=type(MODEL)("shapes", "another")))
    assert scene.reconcile() == (found(5), [])


def test_what_changed_a_moment_ago_is_on_its_way(scene: Scene) -> None:
    scene.account.upload("new.jpg", b"x")
    scene.account.upload("b.jpg", b"other content")
    summary, sent = scene.reconcile(grace_seconds=120)
    assert summary == found(6, rows=5, coverage=4 / 6)
    assert sent == []
    later = datetime.now(UTC) + timedelta(seconds=180)
    scene.stores = Stores(scene.account.source, scene.account.results, now=lambda: later)
    assert sorted(scene.reconcile(grace_seconds=120)[1]) == ["b.jpg", "new.jpg"]


def test_a_sidecar_copied_among_the_images_is_no_image(scene: Scene) -> None:
    content = scene.sidecar_blob("a.jpg").download_blob().readall()
    scene.account.upload("copies/a.jpg.json", content)
    scene.account.upload("notes.json", b'{"mine": true}')
    scene.account.upload("empty.json", b"")
    summary, sent = scene.reconcile()
    assert sorted(sent) == ["empty.json", "notes.json"]
    assert summary == found(7, rows=5, coverage=5 / 7, missing=2, enqueued=2)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"not JSON"], ids=["missing", "empty", "an object", "rubbish"])
def test_a_sidecar_that_tells_nothing_is_written_again_from_the_row(scene: Scene, content: bytes | None) -> None:
    if content is None:
        scene.sidecar_blob("site a/c.jpg").delete_blob()
    else:
        scene.sidecar_blob("site a/c.jpg").upload_blob(content, overwrite=True)
    assert scene.reconcile()[0] == found(5, repaired=1)
    scene.must_be_whole(IMAGES)


@pytest.mark.parametrize(
    "changes",
    [{"label": "dog"}, {"etag": "0xOLD"}, {"classified_at": datetime(2020, 1, 1, tzinfo=UTC)}, {"blob_name": "b.jpg"}],
    ids=["another label", "another content", "an earlier time", "another image"],
)
def test_a_sidecar_that_tells_something_else_is_written_again_from_the_row(
    scene: Scene, changes: dict[str, Any]
) -> None:
    scene.sidecar_blob("a.jpg").upload_blob(to_sidecar(replace(scene.record("a.jpg"), **changes)), overwrite=True)
    assert scene.reconcile()[0]["repaired"] == 1
    scene.must_be_whole(IMAGES)


@pytest.mark.parametrize("last_step", ["sidecar", "index"])
def test_an_attempt_that_died_before_its_row_is_finished(scene: Scene, last_step: str) -> None:
    """A second judgement (redrive, another model) of the same content: what it left becomes the truth, whole."""
    image = scene.account.image("a.jpg")
    row = scene.record("a.jpg")
    later = replace(row, label="dog", classified_at=row.classified_at + timedelta(seconds=5))
    attempt = later.superseding(row)
    scene.account.results.write_sidecar(attempt, scene.account.results.read_sidecar(image))
    if last_step == "index":
        for index_row in attempt.index_rows():
            scene.account.results.write_index_row(index_row)
    assert scene.reconcile()[0] == found(5, repaired=1)
    assert scene.record("a.jpg").label == "dog"
    scene.must_be_whole(IMAGES)


def test_a_row_lost_after_its_sidecar_is_sent_round_and_adopts_it(scene: Scene) -> None:
    scene.delete_row("a.jpg")
    assert scene.reconcile() == (found(5, rows=4, coverage=0.8, missing=1, enqueued=1), ["a.jpg"])
    scene.classify_blob("a.jpg")
    scene.must_be_whole(IMAGES)


def test_missing_index_rows_are_written(scene: Scene) -> None:
    for name in ("a.jpg", "site b/e.jpg"):
        for row in scene.record(name).index_rows():
            scene.account.results.delete_index_row(row.keys)
    assert scene.reconcile()[0] == found(5, repaired=2)
    scene.must_be_whole(IMAGES)


def test_an_index_row_with_other_columns_is_written_again(scene: Scene) -> None:
    row = scene.record("a.jpg").index_rows()[0]
    scene.account.results.write_index_row(IndexRow(row.keys, {**row.columns, "label": "dog"}))
    assert scene.reconcile()[0] == found(5, repaired=1)
    scene.must_be_whole(IMAGES)


def test_index_rows_that_lie_are_removed(scene: Scene) -> None:
    results = scene.account.results
    other_time = record("a.jpg", container=scene.account.incoming, label="dog")
    no_image = record("never.jpg", container=scene.account.incoming)
    for lie in (*other_time.index_rows(), *no_image.index_rows()):
        results.write_index_row(lie)
    results.write_index_row(IndexRow(keys.RowKeys("status|failed|79738879", "rubbish"), {}))
    assert scene.reconcile()[0] == found(5, index_removed=5)
    scene.must_be_whole(IMAGES)


def test_an_index_row_whose_attempt_is_on_its_way_is_left(scene: Scene) -> None:
    """The sidecar stands, the index rows stand, the row comes next: nothing may be removed under its feet."""
    scene.account.upload("new.jpg", b"x")
    attempt = record(
        "new.jpg",
        container=scene.account.incoming,
        sidecar=scene.account.results.sidecar_path(scene.account.image("new.jpg")),
    )
    scene.account.results.write_sidecar(attempt, None)
    for index_row in attempt.index_rows():
        scene.account.results.write_index_row(index_row)
    summary, _ = scene.reconcile(grace_seconds=120)
    assert summary == found(6, rows=5, coverage=5 / 6)
    assert {tuple(row.keys) for row in attempt.index_rows()} <= scene.account.index_keys()


def test_blobs_that_are_gone_are_work_only_when_pruning(scene: Scene) -> None:
    scene.account.delete("a.jpg")
    scene.account.delete("site b/e.jpg")
    kept = ["b.jpg", "site a/c.jpg", "site a/d.jpg"]
    assert scene.reconcile()[0] == found(3, rows=5)
    assert scene.reconcile(prune=True, dry_run=True)[0] == found(3, rows=5, pruned=2)
    assert scene.reconcile(prune=True)[0] == found(3, rows=5, pruned=2)
    scene.must_be_whole(kept)
    assert scene.sidecar("a.jpg") is None


def test_pruning_spares_other_containers(scene: Scene, account: Account) -> None:
    """One table may serve several apps, each with its own incoming container."""
    elsewhere = record("theirs.jpg", container="elsewhere", sidecar="their-results/theirs.jpg.json")
    account.results.write_row(elsewhere, None)
    for row in elsewhere.index_rows():
        account.results.write_index_row(row)
    assert scene.reconcile(prune=True)[0] == found(5)


def test_an_orphan_sidecar_goes_when_its_blob_is_gone(scene: Scene) -> None:
    scene.delete_row("a.jpg")
    scene.account.delete("a.jpg")
    scene.account.clients.blobs.get_blob_client(scene.account.container, "mine.json").upload_blob(b"{}")
    assert scene.reconcile()[0] == found(4)
    assert scene.reconcile(prune=True)[0] == found(4, index_removed=0, pruned=1)
    assert scene.sidecar("a.jpg") is None
    assert scene.account.clients.blobs.get_blob_client(scene.account.container, "mine.json").exists()
    scene.must_be_whole([name for name in IMAGES if name != "a.jpg"])


def test_a_dry_run_finds_everything_and_changes_nothing(scene: Scene) -> None:
    scene.account.upload("new.jpg", b"x")
    scene.sidecar_blob("a.jpg").delete_blob()
    scene.account.delete("b.jpg")
    told: list[tuple[str, str]] = []
    options = {"prune": True, "on_finding": lambda finding: told.append(tuple(finding))}
    dry, sent = scene.reconcile(dry_run=True, **options)
    assert sent == []
    assert dry == found(5, rows=5, coverage=0.8, missing=1, repaired=1, pruned=1)
    rehearsed = told.copy()
    told.clear()
    assert scene.reconcile(**options)[0] == {**dry, "enqueued": 1}
    assert told == rehearsed == [("missing", "new.jpg"), *sorted(told[1:], key=lambda finding: finding[1])]


def test_many_mixed_losses_are_all_found_in_one_run(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PAGE", 7)
    names = [f"site {i % 7}/{i:03d}.jpg" for i in range(60)]
    scene = Scene(account, names)
    lost, unwritten, unindexed, gone = names[:9], names[9:18], names[18:27], names[27:36]
    for name in lost:
        scene.delete_row(name)
    for name in unwritten:
        scene.sidecar_blob(name).delete_blob()
    for name in unindexed:
        account.results.delete_index_row(scene.record(name).index_rows()[1].keys)
    for name in gone:
        account.delete(name)
    summary, sent = scene.reconcile(prune=True)
    assert summary == found(51, rows=51, coverage=42 / 51, missing=9, enqueued=9, repaired=18, pruned=9)
    assert sorted(sent) == sorted(lost)
    for name in sent:
        scene.classify_blob(name)
    scene.must_be_whole([name for name in names if name not in gone])


def test_requests_reach_the_real_queue(scene: Scene, clients: Clients) -> None:
    scene.account.upload("new.jpg", b"x")
    queue = clients.queues.get_queue_client(QUEUE)
    Reconciliation(scene.stores, RequestQueue(clients), scene.account.incoming).run()
    texts = (b64decode(message.content) for message in queue.receive_messages())
    assert Request(scene.account.incoming, ("new.jpg",)) in map(Request.from_json, texts)


def test_the_timer_sends_old_losses_and_says_one_line(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "storage.reconcile.reconcile")
    scene.account.upload("new.jpg", b"x")
    scene.account.delete("a.jpg")
    later = datetime.now(UTC) + timedelta(seconds=180)
    stores = Stores(scene.account.source, scene.account.results, now=lambda: later)
    sent = SentRequests()
    reconcile_on_timer(stores, sent, scene.account.incoming)  # type: ignore[arg-type]
    assert sent.names == ["new.jpg"]
    line = (
        f"container_reconciled container={scene.account.incoming} images=5 rows=5 missing=1 stale=0 enqueued=1 "
        "repaired=0 index_removed=0 pruned=0 coverage=0.8 requests_waiting=0"
    )
    assert [message for message in caplog.messages if "reconciled" in message] == [line]


def test_the_timer_does_not_add_to_a_backlog(scene: Scene) -> None:
    """What it sent an hour ago may still be waiting: each round on top would be work done twice."""
    scene.account.upload("new.jpg", b"x")
    later = datetime.now(UTC) + timedelta(seconds=180)
    stores = Stores(scene.account.source, scene.account.results, now=lambda: later)
    busy = SentRequests(waiting=101)
    reconcile_on_timer(stores, busy, scene.account.incoming)  # type: ignore[arg-type]
    assert busy.requests == []


def test_requests_are_bounded_in_names_and_in_bytes() -> None:
    short = list(batches("incoming", [f"{i}.jpg" for i in range(70)]))
    assert [len(request.blobs) for request in short] == [32, 32, 6]
    hostile = ["\x01" * 1024, "\U0001f431" * 512] * 20
    packed = list(batches("incoming", hostile))
    assert [name for request in packed for name in request.blobs] == hostile
    # What is counted is what is sent: 40 KiB of names, and less than one more for the rest of the message.
    assert max(len(request.to_json().encode()) for request in packed) <= 41 * 1024
    assert json.loads(packed[0].to_json())["container"] == "incoming"
