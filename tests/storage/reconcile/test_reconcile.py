"""Reconciliation on the emulator: each inconsistency is found, repaired once, and then causes no more work."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import UpdateMode

from inference.predictions import Answer, ModelIdentity
from storage import keys, tables
from storage.blobs import SourceBlobs, UnreadBlobError
from storage.clients import connect
from storage.connection import Connection
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.retries import give_up
from storage.pipeline.shadow import Shadow
from storage.pipeline.stores import Stores
from storage.reconcile import bucket_hashes, reconcile
from storage.reconcile.findings import Summary
from storage.reconcile.reconcile import Reconciliation, reconcile_on_timer
from storage.reconcile.repair import Repair
from storage.refusals import FailureReason, RefusedBlobError
from storage.results.index_rows import index_rows
from storage.results.record import Image, IndexRow, Record, Status
from storage.results.serialization import to_entity, to_sidecar
from tests.storage.conftest import MAX_BYTES
from tests.storage.samples import AWKWARD_NAMES, MODEL, SCORES, FixedClassifier, record

if TYPE_CHECKING:
    from inference.predictions import Classification
    from storage.pipeline.messages import Request
    from tests.storage.conftest import Account


IMAGES = ["a.jpg", "b.jpg", "site a/c.jpg", "site a/d.jpg", "site b/e.jpg"]
NOTHING = {"missing": 0, "stale": 0, "enqueued": 0, "repaired": 0, "index_removed": 0, "pruned": 0}


class SentRequests:
    """A queue that keeps the requests it is sent."""

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
    """An account in which every image is classified, until a test changes something."""

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
        return {row.keys for name in names for row in index_rows(self.record(name))}

    def reconcile(self, **options: Any) -> tuple[dict[str, Any], list[str]]:
        """Run once; the summary, and the names that were queued."""
        sent = SentRequests()
        summary = Reconciliation(self.stores, sent, self.account.incoming, **options).run()  # type: ignore[arg-type]
        return summary.as_dict(), sent.names

    def assert_consistent(self, names: list[str]) -> None:
        """Row, sidecar and index rows of these images agree, and there are no other results."""
        for name in names:
            assert self.sidecar(name) == self.record(name)
        assert self.account.index_keys() == self.expected_index(names)
        assert self.reconcile(prune=True)[0] == found(len(names))


def found(images: int, rows: int | None = None, coverage: float = 1.0, **others: int) -> dict[str, Any]:
    return {"images": images, "rows": images if rows is None else rows, **NOTHING, "coverage": coverage, **others}


@pytest.fixture
def scene(account: Account) -> Scene:
    return Scene(account, IMAGES)


def test_a_classified_container_costs_five_reads_and_no_write(account: Account, sent: list[str], azurite: Any) -> None:
    scene = Scene(account, IMAGES)
    watched = account.over(connect(Connection("ImageStorage", azurite.connection_string)))
    sent.clear()
    scene.stores = Stores(watched.source, watched.results)
    assert scene.reconcile(prune=True) == (found(5), [])
    assert {request.split()[0] for request in sent} == {"GET"}
    assert len(sent) == 5  # blobs, rows, rows again, sidecars, index


@pytest.mark.parametrize("keep_scores", [True, False])
def test_answers_of_further_models_cost_no_read(
    account: Account, sent: list[str], azurite: Any, *, keep_scores: bool
) -> None:
    """The row has their labels and not their predictions."""

    class Two(FixedClassifier):
        def classify(self, content: bytes) -> Classification:
            given = super().classify(content)
            answer = Answer(MODEL, given.label, given.label_index, given.score, given.predictions)
            return replace(given, answers=(answer, answer))

    scene = Scene(account, [])
    candidate = FixedClassifier("dog", ModelIdentity("candidate", "1"))
    shadow = Shadow(lambda: candidate, 1)
    scene.stores = Stores(account.source, account.results, keep_scores=keep_scores, shadow=shadow)
    for name in IMAGES:
        account.upload(name, name.encode())
        scene.classify_blob(name, Two())
    watched = account.over(connect(Connection("ImageStorage", azurite.connection_string)))
    sent.clear()
    scene.stores = Stores(watched.source, watched.results)
    assert scene.reconcile(prune=True) == (found(5), [])
    assert [request.split()[0] for request in sent] == ["GET"] * 5
    assert scene.record("a.jpg").shadow == Answer(candidate.model, "dog", 0, 0.75, ())
    scene.sidecar_blob("a.jpg").delete_blob()
    assert scene.reconcile()[0]["repaired"] == 1
    assert scene.sidecar("a.jpg") == scene.record("a.jpg")


def test_an_account_without_containers_and_tables_is_empty_and_stays_so(account: Account) -> None:
    account.clients.blobs.delete_container(account.incoming)
    stores = Stores(account.source, account.results)
    assert Reconciliation(stores, None, account.incoming, prune=True).run() == Summary(coverage=None)
    for container in (account.incoming, account.container):
        assert not account.clients.blobs.get_container_client(container).exists()
    with pytest.raises(ResourceNotFoundError):
        next(account.clients.tables.get_table_client(account.table).list_entities())


def test_the_first_lost_images_get_a_message_each(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them may have no row because it ends the worker."""
    monkeypatch.setattr(reconcile, "_MAX_ALONE", 3)
    for number in range(8):
        account.upload(f"{number}.jpg", b"x")
    sent = SentRequests()
    Reconciliation(Stores(account.source, account.results), sent, account.incoming).run()  # type: ignore[arg-type]
    assert [len(request.blobs) for request in sent.requests] == [1, 1, 1, 5]
    assert sent.names == [f"{number}.jpg" for number in range(8)]


EDITS: dict[str, dict[str, Any]] = {
    "a score of text": {"score": "high"},
    "an unknown status": {"status": "lost"},
    "a top_k of deep brackets": {"top_k": "[" * 30_000},
    "a top_k of another kind": {"top_k": '["fox"]'},
    "a width of text": {"width": "wide"},
    "a time of text": {"classified_at": "yesterday"},
    "no ETag": {"etag": None},
}


def edit_row(scene: Scene, name: str, changes: dict[str, Any]) -> None:
    """Change a row as a person does in Storage Explorer."""
    table = scene.account.clients.tables.get_table_client(scene.account.table)
    entity = {**to_entity(scene.record(name)), **changes}
    table.upsert_entity({key: value for key, value in entity.items() if value is not None}, mode=UpdateMode.REPLACE)


@pytest.mark.parametrize("changes", EDITS.values(), ids=EDITS.keys())
def test_an_edited_row_that_cannot_be_read_is_written_again_from_its_sidecar(
    scene: Scene, changes: dict[str, Any]
) -> None:
    expected = scene.record("site a/c.jpg")
    edit_row(scene, "site a/c.jpg", changes)
    summary, _ = scene.reconcile()
    assert summary["repaired"] == 1
    assert scene.record("site a/c.jpg") == expected
    scene.assert_consistent(IMAGES)


def test_an_edited_row_without_a_sidecar_is_classified_again_and_others_are_repaired(scene: Scene) -> None:
    for name in ("a.jpg", "b.jpg", "site a/c.jpg"):
        edit_row(scene, name, {"top_k": "nonsense"})
    scene.sidecar_blob("b.jpg").delete_blob()
    summary, names = scene.reconcile()
    assert (summary["repaired"], summary["stale"], summary["enqueued"], names) == (2, 1, 1, ["b.jpg"])
    scene.classify_blob("b.jpg")
    scene.assert_consistent(IMAGES)


def test_an_edited_row_of_a_deleted_image_is_pruned(scene: Scene) -> None:
    edit_row(scene, "b.jpg", {"top_k": "nonsense"})
    scene.account.delete("b.jpg")
    assert scene.reconcile()[1] == []
    assert scene.reconcile(prune=True)[0]["pruned"] == 1
    scene.assert_consistent([name for name in IMAGES if name != "b.jpg"])


@pytest.mark.parametrize("changes", EDITS.values(), ids=EDITS.keys())
def test_a_delivery_writes_an_edited_row_again(scene: Scene, changes: dict[str, Any]) -> None:
    edit_row(scene, "b.jpg", changes)
    scene.classify_blob("b.jpg")
    scene.assert_consistent(IMAGES)


def test_a_candidate_whose_check_meets_a_fault_of_the_app_does_not_stop_the_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    repair_index = Repair.repair_index

    def faulty(self: Repair, image: Image) -> bool:
        if image.blob_name == "a.jpg":
            raise ZeroDivisionError
        return repair_index(self, image)

    monkeypatch.setattr(Repair, "repair_index", faulty)
    for name in ("a.jpg", "b.jpg"):
        for row in index_rows(scene.record(name)):
            scene.account.results.delete_index_row(row.keys)
    assert scene.reconcile()[0]["repaired"] == 1
    assert "candidate_not_checked" in caplog.text


def test_awkward_names_cause_no_work(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PAGE", 3)
    names = [name for name in AWKWARD_NAMES.values() if "\\" not in name]  # storage makes a slash of a backslash
    names += ["x" * 1024, "deep/" * 100 + "y" * 500 + ".jpg"]
    scene = Scene(account, names)
    scene.assert_consistent(names)
    assert scene.reconcile()[0] == found(len(names))


def test_images_without_a_row_are_queued_until_they_are_classified(scene: Scene) -> None:
    late = [f"late/{i:03d}.jpg" for i in range(40)]
    for name in late:
        scene.account.upload(name, b"x")
    summary, sent = scene.reconcile()
    assert summary == found(45, rows=5, coverage=5 / 45, missing=40, enqueued=40)
    assert sorted(sent) == late
    for name in sent:
        scene.classify_blob(name)
    scene.assert_consistent(IMAGES + late)


def test_an_overwritten_image_is_stale_until_it_is_classified_again(scene: Scene) -> None:
    scene.account.upload("b.jpg", b"other content")
    assert scene.reconcile() == (found(5, coverage=0.8, stale=1, enqueued=1), ["b.jpg"])
    scene.classify_blob("b.jpg")
    scene.assert_consistent(IMAGES)


def test_a_failed_row_is_left_to_redrive(scene: Scene) -> None:
    scene.account.upload("b.jpg", b"other content")
    give_up(scene.stores, scene.account.image("b.jpg"), "The model was away.")
    assert scene.record("b.jpg").status is Status.FAILED
    assert scene.reconcile() == (found(5), [])


def test_a_row_by_another_model_is_left_to_backfill(scene: Scene) -> None:
    """A new model alone must not queue a million images."""
    assert scene.classifier.model == MODEL
    scene.classify_blob("a.jpg", FixedClassifier(model=type(MODEL)("shapes", "another")))
    assert scene.reconcile() == (found(5), [])


def test_an_image_that_just_changed_is_not_queued(scene: Scene) -> None:
    scene.account.upload("new.jpg", b"x")
    scene.account.upload("b.jpg", b"other content")
    summary, sent = scene.reconcile(grace_seconds=120)
    assert summary == found(6, rows=5, coverage=4 / 6)
    assert sent == []
    later = datetime.now(UTC) + timedelta(seconds=180)
    scene.stores = Stores(scene.account.source, scene.account.results, now=lambda: later)
    assert sorted(scene.reconcile(grace_seconds=120)[1]) == ["b.jpg", "new.jpg"]


def test_a_copied_sidecar_is_not_counted_as_an_image(scene: Scene) -> None:
    content = scene.sidecar_blob("a.jpg").download_blob().readall()
    scene.account.upload("copies/a.jpg.json", content)
    scene.account.upload("notes.json", b'{"mine": true}')
    scene.account.upload("empty.json", b"")
    summary, sent = scene.reconcile()
    assert sorted(sent) == ["empty.json", "notes.json"]
    assert summary == found(7, rows=5, coverage=5 / 7, missing=2, enqueued=2)


def test_json_that_no_sidecar_can_be_is_queued_unread(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "MAX_SIDECAR_BYTES", 10)
    monkeypatch.setattr(SourceBlobs, "read", lambda *_args, **_options: pytest.fail("it was read"))
    scene.account.upload("large.json", b"x" * 11)
    scene.account.upload("empty.json", b"")
    assert sorted(scene.reconcile()[1]) == ["empty.json", "large.json"]


def test_json_that_cannot_be_read_does_not_stop_the_others(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    read = SourceBlobs.read

    def refused(self: SourceBlobs, image: Image, **options: Any) -> Any:
        if image.blob_name == "refused.json":
            info = self.info(image)
            assert info is not None
            raise UnreadBlobError(info, RefusedBlobError(FailureReason.UNREADABLE, "Storage refuses it."))
        return read(self, image, **options)

    monkeypatch.setattr(SourceBlobs, "read", refused)
    scene.account.upload("larger than allowed.json", bytes(MAX_BYTES + 1))
    scene.account.upload("refused.json", b"x")
    scene.account.upload("z.jpg", b"x")
    assert sorted(scene.reconcile()[1]) == ["larger than allowed.json", "refused.json", "z.jpg"]


@pytest.mark.parametrize("content", [None, b"", b"{}", b"not JSON"], ids=["missing", "empty", "an object", "rubbish"])
def test_a_sidecar_that_cannot_be_read_is_written_again_from_the_row(scene: Scene, content: bytes | None) -> None:
    if content is None:
        scene.sidecar_blob("site a/c.jpg").delete_blob()
    else:
        scene.sidecar_blob("site a/c.jpg").upload_blob(content, overwrite=True)
    assert scene.reconcile()[0] == found(5, repaired=1)
    scene.assert_consistent(IMAGES)


@pytest.mark.parametrize(
    "changes",
    [{"label": "dog"}, {"etag": "0xOLD"}, {"classified_at": datetime(2020, 1, 1, tzinfo=UTC)}, {"blob_name": "b.jpg"}],
    ids=["another label", "another content", "an earlier time", "another image"],
)
def test_a_sidecar_that_disagrees_is_written_again_from_the_row(scene: Scene, changes: dict[str, Any]) -> None:
    scene.sidecar_blob("a.jpg").upload_blob(to_sidecar(replace(scene.record("a.jpg"), **changes)), overwrite=True)
    assert scene.reconcile()[0]["repaired"] == 1
    scene.assert_consistent(IMAGES)


def test_a_sidecar_that_is_written_again_keeps_its_scores_where_they_are_of_this_content(scene: Scene) -> None:
    for name, etag in (("a.jpg", scene.record("a.jpg").etag), ("b.jpg", "0xOLD")):
        edited = replace(scene.record(name), label="dog", etag=etag, scores=SCORES)
        scene.sidecar_blob(name).upload_blob(to_sidecar(edited), overwrite=True)
    assert scene.reconcile()[0]["repaired"] == 2
    scene.assert_consistent(IMAGES)
    kept, dropped = scene.sidecar("a.jpg"), scene.sidecar("b.jpg")
    assert kept is not None
    assert dropped is not None
    assert (kept.scores, dropped.scores) == (SCORES, None)


@pytest.mark.parametrize("last_step", ["sidecar", "index"])
def test_an_attempt_that_died_before_its_row_is_finished(scene: Scene, last_step: str) -> None:
    """A second attempt (redrive, another model) at the same content: its sidecar and index rows become the result."""
    image = scene.account.image("a.jpg")
    row = scene.record("a.jpg")
    later = replace(row, label="dog", classified_at=row.classified_at + timedelta(seconds=5))
    attempt = later.superseding(row)
    scene.account.results.write_sidecar(attempt, scene.account.results.read_sidecar(image))
    if last_step == "index":
        for index_row in index_rows(attempt):
            scene.account.results.write_index_row(index_row)
    assert scene.reconcile()[0] == found(5, repaired=1)
    assert scene.record("a.jpg").label == "dog"
    scene.assert_consistent(IMAGES)


def test_an_image_without_its_row_is_queued_and_adopts_its_sidecar(scene: Scene) -> None:
    scene.delete_row("a.jpg")
    assert scene.reconcile() == (found(5, rows=4, coverage=0.8, missing=1, enqueued=1), ["a.jpg"])
    scene.classify_blob("a.jpg")
    scene.assert_consistent(IMAGES)


def test_missing_index_rows_are_written(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "_MAX_PENDING", 1)  # more candidates than are in memory at once
    for name in ("a.jpg", "site b/e.jpg"):
        for row in index_rows(scene.record(name)):
            scene.account.results.delete_index_row(row.keys)
    scene.sidecar_blob("a.jpg").delete_blob()  # one image may need both repairs
    assert scene.reconcile()[0] == found(5, repaired=2)
    scene.assert_consistent(IMAGES)


def test_an_index_row_with_other_columns_is_written_again(scene: Scene) -> None:
    row = index_rows(scene.record("a.jpg"))[0]
    scene.account.results.write_index_row(IndexRow(row.keys, {**row.columns, "label": "dog"}))
    assert scene.reconcile()[0] == found(5, repaired=1)
    scene.assert_consistent(IMAGES)


def test_false_index_rows_are_removed(scene: Scene) -> None:
    results = scene.account.results
    other_time = record("a.jpg", container=scene.account.incoming, label="dog")
    no_image = record("never.jpg", container=scene.account.incoming)
    for false in (*index_rows(other_time), *index_rows(no_image)):
        results.write_index_row(false)
    results.write_index_row(IndexRow(keys.RowKeys("status|failed|79738879", "rubbish"), {}))
    assert scene.reconcile()[0] == found(5, index_removed=5)
    scene.assert_consistent(IMAGES)


def test_an_index_row_of_a_running_attempt_is_kept(scene: Scene) -> None:
    """Sidecar and index rows are written, the row comes next: nothing may be removed meanwhile."""
    scene.account.upload("new.jpg", b"x")
    attempt = record(
        "new.jpg",
        container=scene.account.incoming,
        sidecar=scene.account.results.sidecar_path(scene.account.image("new.jpg")),
    )
    scene.account.results.write_sidecar(attempt, None)
    for index_row in index_rows(attempt):
        scene.account.results.write_index_row(index_row)
    summary, _ = scene.reconcile(grace_seconds=120)
    assert summary == found(6, rows=5, coverage=5 / 6)
    assert {tuple(row.keys) for row in index_rows(attempt)} <= scene.account.index_keys()


def test_results_of_deleted_blobs_are_removed_only_by_prune(scene: Scene) -> None:
    scene.account.delete("a.jpg")
    scene.account.delete("site b/e.jpg")
    kept = ["b.jpg", "site a/c.jpg", "site a/d.jpg"]
    assert scene.reconcile()[0] == found(3, rows=5)
    assert scene.reconcile(prune=True, dry_run=True)[0] == found(3, rows=5, pruned=2)
    assert scene.reconcile(prune=True)[0] == found(3, rows=5, pruned=2)
    scene.assert_consistent(kept)
    assert scene.sidecar("a.jpg") is None


def test_prune_keeps_results_of_other_containers(
    scene: Scene, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One table may serve several apps, each with its own incoming container."""
    monkeypatch.setattr(bucket_hashes, "_BUCKETS", 1)  # each row is a candidate as soon as one is
    elsewhere = record("other.jpg", container="elsewhere", sidecar="other-results/other.jpg.json")
    account.results.write_row(elsewhere, None)
    for row in index_rows(elsewhere):
        account.results.write_index_row(row)
    scene.account.delete("a.jpg")
    assert scene.reconcile(prune=True)[0] == found(4, rows=5, pruned=1)
    assert account.results.read_row(elsewhere.image) is not None


def test_prune_removes_a_sidecar_without_row_and_blob(scene: Scene) -> None:
    scene.delete_row("a.jpg")
    scene.account.delete("a.jpg")
    scene.account.clients.blobs.get_blob_client(scene.account.container, "mine.json").upload_blob(b"{}")
    assert scene.reconcile()[0] == found(4)
    assert scene.reconcile(prune=True)[0] == found(4, index_removed=0, pruned=1)
    assert scene.sidecar("a.jpg") is None
    assert scene.account.clients.blobs.get_blob_client(scene.account.container, "mine.json").exists()
    scene.assert_consistent([name for name in IMAGES if name != "a.jpg"])


def test_prune_keeps_sidecars_of_other_containers_and_copies(scene: Scene, account: Account) -> None:
    """Two apps may share a results container, and a person may copy a sidecar there."""
    path = account.results.sidecar_path(account.image("other.jpg"))
    account.results.write_sidecar(record("other.jpg", container="elsewhere", sidecar=path), None)
    copied = record("copy.jpg", container=account.incoming, sidecar="other-results/copy.jpg.json")
    account.results.write_sidecar(copied, None)
    assert scene.reconcile(prune=True)[0] == found(5)
    assert scene.sidecar("other.jpg") is not None
    assert scene.sidecar("copy.jpg") is not None


def test_a_dry_run_finds_everything_and_changes_nothing(scene: Scene) -> None:
    scene.account.upload("new.jpg", b"x")
    scene.sidecar_blob("a.jpg").delete_blob()
    scene.account.delete("b.jpg")
    findings: list[tuple[str, str]] = []
    options = {"prune": True, "on_finding": lambda finding: findings.append(tuple(finding))}
    dry, sent = scene.reconcile(dry_run=True, **options)
    assert sent == []
    assert dry == found(5, rows=5, coverage=0.8, missing=1, repaired=1, pruned=1)
    rehearsed = findings.copy()
    findings.clear()
    assert scene.reconcile(**options)[0] == {**dry, "enqueued": 1}
    assert findings == rehearsed
    assert findings == [("missing", "new.jpg"), *sorted(findings[1:], key=lambda finding: finding[1])]


def test_many_mixed_inconsistencies_are_found_in_one_run(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PAGE", 7)
    names = [f"site {i % 7}/{i:03d}.jpg" for i in range(60)]
    scene = Scene(account, names)
    lost, unwritten, unindexed, gone = names[:9], names[9:18], names[18:27], names[27:36]
    for name in lost:
        scene.delete_row(name)
    for name in unwritten:
        scene.sidecar_blob(name).delete_blob()
    for name in unindexed:
        account.results.delete_index_row(index_rows(scene.record(name))[1].keys)
    for name in gone:
        account.delete(name)
    summary, sent = scene.reconcile(prune=True)
    assert summary == found(51, rows=51, coverage=42 / 51, missing=9, enqueued=9, repaired=18, pruned=9)
    assert sorted(sent) == sorted(lost)
    for name in sent:
        scene.classify_blob(name)
    scene.assert_consistent([name for name in names if name not in gone])


def test_the_timer_queues_old_losses_and_logs_one_line(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "storage.reconcile.reconcile")
    scene.account.upload("new.jpg", b"x")
    scene.account.delete("a.jpg")
    sent = SentRequests()

    def run(seconds_later: int) -> None:
        later = datetime.now(UTC) + timedelta(seconds=seconds_later)
        stores = Stores(scene.account.source, scene.account.results, now=lambda: later)
        reconcile_on_timer(stores, sent, scene.account.incoming)  # type: ignore[arg-type] # a fake

    run(60)
    assert sent.names == [], "the app may be working on it"
    caplog.clear()
    run(180)
    assert sent.names == ["new.jpg"]
    line = (
        f"container_reconciled container={scene.account.incoming} images=5 rows=5 missing=1 stale=0 enqueued=1 "
        "repaired=0 index_removed=0 pruned=0 coverage=0.8 requests_waiting=0"
    )
    assert [message for message in caplog.messages if "reconciled" in message] == [line]


def test_the_timer_does_not_add_to_a_backlog(scene: Scene) -> None:
    """The images of an hour ago may still be queued; queueing them again would classify them twice."""
    scene.account.upload("new.jpg", b"x")
    later = datetime.now(UTC) + timedelta(seconds=180)
    stores = Stores(scene.account.source, scene.account.results, now=lambda: later)
    busy = SentRequests(waiting=101)
    reconcile_on_timer(stores, busy, scene.account.incoming)  # type: ignore[arg-type] # a fake
    assert busy.requests == []


def test_scores_that_a_person_edited_are_detected_though_the_metadata_stay(scene: Scene) -> None:
    blob = scene.sidecar_blob("a.jpg")
    kept = blob.get_blob_properties().metadata
    assert set(kept) == {"without_scores_md5", "complete_md5"}
    edited = to_sidecar(replace(scene.record("a.jpg"), label="dog", scores=SCORES))
    blob.upload_blob(edited, overwrite=True, metadata=kept)
    assert scene.reconcile()[0]["repaired"] == 1
    scene.assert_consistent(IMAGES)
    assert scene.reconcile()[0] == found(5)
