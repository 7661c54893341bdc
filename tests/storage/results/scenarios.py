"""The races that the commit protocol must survive, and the conditions that one image must meet afterwards."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from inference.errors import PermanentError, Reason
from inference.predictions import ModelIdentity
from storage import keys
from storage.etags import same_etag
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.retries import give_up
from storage.pipeline.stores import Stores
from storage.results.amend import Found, amend
from storage.results.index_rows import index_rows
from storage.results.record import Image, Record, Status
from tests.storage.fakes import MemoryAccount, MemoryResults, MemorySource
from tests.storage.results.schedules import EPOCH, Delivery, Event, Search
from tests.storage.samples import FixedClassifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

IMAGE = Image("incoming", "a/cat.jpg")
OLD_MODEL = ModelIdentity("shapes", "old")
NEW_MODEL = ModelIdentity("shapes", "new")
CONTENTS = {"0x1": b"cat", "0x2": b"dog", "0x3": b"bad"}
REDO = EPOCH - timedelta(minutes=30)
_BEFORE = EPOCH - timedelta(hours=1)
_LATER = 5


class RepeatableClassifier:
    """A classifier whose answer can be computed again: its label is the content and its own version."""

    def __init__(self, model: ModelIdentity) -> None:
        self.model = model

    def classify(self, content: bytes) -> Any:
        if content == b"bad":
            raise PermanentError(Reason.CORRUPT, "bad")
        return FixedClassifier(f"{content.decode()} by {self.model.version}", self.model).classify(content)


def classifying(model: ModelIdentity = OLD_MODEL, redo_before: datetime | None = None) -> Callable[[Stores], object]:
    return lambda stores: classify_blob(stores, RepeatableClassifier(model), IMAGE, redo_before=redo_before)


def decided_label(label: str, version: str | None) -> str:
    """The label that the rules of this version make of a model's label."""
    return label if version is None else f"{label}, by {version}"


def deciding(version: str) -> Callable[[Stores], object]:
    """The work of ``tools decide``: reads a result and changes its label, unless the rules have decided it already."""

    def decide(record: Record) -> Record | None:
        if record.status is not Status.CLASSIFIED:
            return None
        label = decided_label(record.predictions[0].label, version)
        return replace(record, label=label, decision_version=version)

    def work(stores: Stores) -> object:
        row = stores.results.read_row(IMAGE)
        if row is None or row.record is None or row.record.decision_version == version:
            return None
        found = Found(row, stores.results.read_sidecar(IMAGE))
        return amend(stores.results, IMAGE, row.record.etag, decide, found)

    return work


def giving_up(stores: Stores) -> object:
    return give_up(stores, IMAGE, "the last error")


def upload(etag: str, name: str = "overwrite", after: str | None = None) -> Event:
    """The upload of the content whose ETag will be this one."""

    def happen(account: MemoryAccount) -> None:
        assert account.upload(IMAGE, CONTENTS[etag]) == etag

    return Event(name, happen, after)


def publish(model: ModelIdentity) -> Event:
    """The publication of a model, also of an old one again."""
    return Event("publish", lambda account: account.publish(model.version))


delete = Event("delete", lambda account: account.delete(IMAGE))


FIRST = classifying()


@dataclass(frozen=True)
class Scenario:
    """Some actors, and the account before they start.

    Attributes:
        uploaded: ETags of the contents uploaded before, in order.
        classified: ETags of those that were classified before.
        by: The work that classified them.
        damage: A change of the account after that.
        published: The model that its place names at first; ``None`` for folders of the machines.
        expected: A condition that the committed record must also meet.
    """

    name: str
    actors: tuple[Event | Delivery, ...]
    uploaded: tuple[str, ...] = ("0x1",)
    classified: tuple[str, ...] = ()
    by: Callable[[Stores], object] = FIRST
    damage: Callable[[MemoryAccount], object] = lambda _: None
    published: ModelIdentity | None = None
    expected: Callable[[Record], bool] = lambda _: True

    def account(self) -> MemoryAccount:
        account = MemoryAccount()
        stores = Stores(cast(Any, MemorySource(account)), cast(Any, MemoryResults(account)), now=lambda: _BEFORE)
        for etag in self.uploaded:
            assert account.upload(IMAGE, CONTENTS[etag]) == etag
            if etag in self.classified:
                self.by(stores)
        self.damage(account)
        if self.published is not None:
            account.publish(self.published.version)
        return account

    def search(self, check: Callable[[MemoryAccount], None] | None = None, **options: Any) -> Search:
        return Search(self.account(), self.actors, check or self.check, **options)

    def check(self, account: MemoryAccount) -> None:
        record = check_consistent(account)
        assert record is None or self.expected(record), f"not the expected outcome: {record}"


def check_consistent(account: MemoryAccount) -> Record | None:
    """``check_results``, and each index row has the columns that follow from the row."""
    blob = account.blobs.get(IMAGE)
    record = check_results(MemoryResults(account), blob.etag if blob else None, set(account.index), CONTENTS)
    for index_row in index_rows(record) if record else ():
        assert account.index[index_row.keys] == tuple(index_row.columns.items()), "an index row with other columns"
    return record


def check_results(results: Any, etag: str | None, index: set[Any], contents: Mapping[str, bytes]) -> Record | None:
    """One row, one sidecar, their index rows and no others, all about the current content.

    The result of an image that was deleted meanwhile must be complete or absent: ``reconcile`` prunes it.

    Args:
        results: In memory or real.
        etag: Of the current content; ``None`` when the image is deleted.
        index: The keys of every index row.
        contents: Every content that was uploaded, by ETag.
    """
    row, sidecar = results.read_row(IMAGE), results.read_sidecar(IMAGE)
    if etag is None and row is None:
        assert sidecar is None, "a sidecar without a row"
        assert not index, "index rows without a row"
        return None
    assert row is not None, "no row"
    assert row.record is not None
    assert sidecar is not None, "no sidecar"
    record: Record = row.record
    assert sidecar.record is not None, "a sidecar that is not ours"
    assert without_races(sidecar.record) == without_races(record), "row and sidecar differ"
    assert index == record.index_keys(), "other index rows than those of the row"
    assert etag is None or same_etag(record.etag, etag), "a row about an earlier content"
    check_truthful(record, contents)
    return record


def without_races(record: Record) -> Record:
    """A record without the fields that keep races."""
    return replace(record, superseded=(), shared=False)


def check_truthful(record: Record, contents: Mapping[str, bytes] = CONTENTS) -> None:
    """The result is the named model's answer for the named content."""
    if record.status is Status.FAILED:
        return
    content = contents[record.etag]
    model = {model.version: model for model in (OLD_MODEL, NEW_MODEL)}[record.model_version]
    with contextlib.suppress(PermanentError):
        answer = RepeatableClassifier(model).classify(content)
        label = decided_label(answer.label, record.decision_version)
        assert (record.status, record.label) == (Status.CLASSIFIED, label), "a result that the model did not give"
        return
    assert record.status is Status.REJECTED, "a result that the model did not give"


def superseded_keys(account: MemoryAccount) -> set[keys.RowKeys]:
    """The index rows that, according to the row, replaced attempts may have left."""
    row = MemoryResults(account).read_row(IMAGE)
    return set(row.record.superseded) if row and row.record else set()


def _by(model: ModelIdentity) -> Callable[[Record], bool]:
    return lambda record: record.model_version == model.version


def _classified(record: Record) -> bool:
    return record.status is Status.CLASSIFIED


SCENARIOS = [
    Scenario("two first deliveries of one content", (Delivery("A", classifying()), Delivery("B", classifying()))),
    Scenario(
        "an overwrite during the first delivery",
        (Delivery("A", classifying()), upload("0x2"), Delivery("B", classifying(), after="overwrite", minute=_LATER)),
    ),
    Scenario(
        "an overwrite during the first delivery, clocks the other way round",
        (Delivery("A", classifying(), minute=_LATER), upload("0x2"), Delivery("B", classifying(), after="overwrite")),
    ),
    Scenario(
        "an overwrite during the second delivery of a committed image",
        (Delivery("A", classifying()), upload("0x3"), Delivery("B", classifying(), after="overwrite", minute=_LATER)),
        uploaded=("0x1", "0x2"),
        classified=("0x1",),
    ),
    Scenario(
        "two deliveries of new content over a committed image",
        (Delivery("A", classifying()), Delivery("B", classifying(), minute=_LATER)),
        uploaded=("0x1", "0x2"),
        classified=("0x1",),
    ),
    Scenario("a deletion during the first delivery", (Delivery("A", classifying()), delete)),
    Scenario(
        "a deletion during two first deliveries", (Delivery("A", classifying()), Delivery("B", classifying()), delete)
    ),
    Scenario(
        "a deletion during the second delivery of a committed image",
        (Delivery("A", classifying()), delete),
        uploaded=("0x1", "0x2"),
        classified=("0x1",),
    ),
    Scenario(
        "deleted and uploaded again during the first delivery",
        (
            Delivery("A", classifying()),
            delete,
            upload("0x2", after="delete"),
            Delivery("B", classifying(), after="overwrite", minute=_LATER),
        ),
    ),
    Scenario(
        "a new model beside the old one at first",
        (Delivery("A", classifying(OLD_MODEL)), Delivery("B", classifying(NEW_MODEL), minute=_LATER)),
    ),
    Scenario(
        "a new model over a committed image, the old one still at work",
        (Delivery("A", classifying(OLD_MODEL)), Delivery("B", classifying(NEW_MODEL), minute=_LATER)),
        classified=("0x1",),
    ),
    Scenario(
        "a rollout: a worker that has not noticed it is late, and its clock is fast",
        (
            Delivery("stale", classifying(OLD_MODEL), minute=_LATER),
            publish(NEW_MODEL),
            Delivery("fresh", classifying(NEW_MODEL), after="publish"),
        ),
        published=OLD_MODEL,
        expected=_by(NEW_MODEL),
    ),
    Scenario(
        "a rollout over a committed image that is classified again",
        (
            Delivery("stale", classifying(OLD_MODEL, redo_before=REDO), minute=_LATER),
            publish(NEW_MODEL),
            Delivery("fresh", classifying(NEW_MODEL), after="publish"),
        ),
        classified=("0x1",),
        published=OLD_MODEL,
        expected=_by(NEW_MODEL),
    ),
    Scenario(
        "a stale worker after the rollout",
        (Delivery("stale", classifying(OLD_MODEL), minute=_LATER), Delivery("fresh", classifying(NEW_MODEL))),
        published=NEW_MODEL,
        expected=_by(NEW_MODEL),
    ),
    Scenario(
        "a roll-back: the old model is published again",
        (
            Delivery("stale", classifying(NEW_MODEL, redo_before=REDO), minute=_LATER),
            publish(OLD_MODEL),
            Delivery("fresh", classifying(OLD_MODEL), after="publish"),
        ),
        classified=("0x1",),
        by=classifying(NEW_MODEL),
        published=NEW_MODEL,
        expected=_by(OLD_MODEL),
    ),
    Scenario(
        "a rollout and an overwrite at once",
        (
            Delivery("stale", classifying(OLD_MODEL), minute=_LATER, faults=0),
            upload("0x2"),
            Delivery("fresh", classifying(NEW_MODEL), after="overwrite"),
        ),
        published=NEW_MODEL,
        expected=_by(NEW_MODEL),
    ),
    Scenario(
        "a redo of a committed image, delivered twice",
        (Delivery("A", classifying(redo_before=REDO)), Delivery("B", classifying(redo_before=REDO), minute=_LATER)),
        classified=("0x1",),
        expected=lambda record: record.classified_at >= REDO,
    ),
    Scenario(
        "a redo of a committed image that is overwritten meanwhile",
        (
            Delivery("A", classifying(redo_before=REDO)),
            upload("0x2"),
            Delivery("B", classifying(), after="overwrite", minute=_LATER),
        ),
        classified=("0x1",),
    ),
    Scenario(
        "giving up while another attempt classifies",
        (Delivery("A", giving_up), Delivery("B", classifying(), minute=_LATER)),
        expected=_classified,
    ),
    Scenario(
        "giving up late while another attempt classifies",
        (Delivery("A", giving_up, minute=_LATER), Delivery("B", classifying())),
        expected=_classified,
    ),
    Scenario("giving up twice", (Delivery("A", giving_up), Delivery("B", giving_up, minute=_LATER))),
    Scenario(
        "a classification after giving up",
        (Delivery("A", classifying()), Delivery("B", classifying(), minute=_LATER)),
        classified=("0x1",),
        by=giving_up,
        expected=_classified,
    ),
    Scenario(
        "a sidecar that a person edited",
        (Delivery("A", classifying()), upload("0x3"), Delivery("B", classifying(), after="overwrite")),
        uploaded=("0x1", "0x2"),
        classified=("0x1",),
        damage=lambda account: account.put(account.sidecars, keys.sidecar_name(IMAGE.blob_name), b"{}"),
    ),
    Scenario(
        "a sidecar that a person deleted",
        (Delivery("A", classifying()), upload("0x3"), Delivery("B", classifying(), after="overwrite", minute=_LATER)),
        uploaded=("0x1", "0x2"),
        classified=("0x1",),
        damage=lambda account: account.sidecars.clear(),
    ),
]
