"""What an attempt that is not the first leaves behind, and what it returns: each case by itself, in memory.

``test_commit_interleavings.py`` searches all schedules, but it checks only the state after the last delivery.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from storage.errors import ConflictError
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.outcome import Finished, Outcome
from storage.pipeline.stores import Stores
from storage.results.commit import commit, finish_interrupted
from storage.results.index_rows import index_rows
from storage.results.record import Image, Record, Status
from tests.storage.fakes import MemoryAccount, MemoryResults, MemorySource
from tests.storage.samples import FixedClassifier, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.results.store import Stored

IMAGE = Image("incoming", "cat.jpg")


class Scene:
    """One image with a committed outcome, ``first``, that names an index row of an attempt it replaced."""

    def __init__(self) -> None:
        self.account = MemoryAccount()
        self.results: Any = MemoryResults(self.account)
        self.source: Any = MemorySource(self.account)
        etag = self.account.upload(IMAGE, b"first")
        first = record("cat.jpg", etag=etag)
        self.left = index_rows(replace(first, classified_at=first.classified_at - timedelta(1)))[0]
        self.first = replace(first, superseded=(self.left.keys,))
        assert commit(self.results, self.source, self.first, None) == self.first
        self.results.write_index_row(self.left)

    @property
    def is_clean(self) -> bool:
        """Whether the index rows are those of the outcome, and no others."""
        row = self.row()
        assert row.record is not None
        return set(self.account.index) == row.record.index_keys()

    def row(self) -> Stored:
        row: Stored | None = self.results.read_row(IMAGE)
        assert row is not None
        return row

    def attempt(self, **changes: Any) -> Record:
        """The outcome of a later attempt at the same content."""
        return replace(self.first, superseded=(), classified_at=self.first.classified_at + timedelta(1), **changes)

    def interrupted(self, step: str, meanwhile: Callable[[], object]) -> Any:
        """Results in which something happens just before the first such step."""
        real, pending = getattr(self.results, step), [meanwhile]

        def interrupted_step(*args: Any) -> Any:
            while pending:
                pending.pop()()
            return real(*args)

        results = MemoryResults(self.account)
        setattr(results, step, interrupted_step)
        return results


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_repeated_attempt_returns_the_first_outcome_and_removes_what_was_left(scene: Scene) -> None:
    assert commit(scene.results, scene.source, scene.attempt(label="dog"), scene.row()) == scene.first
    assert scene.is_clean


def test_an_outdated_attempt_removes_what_was_left_and_returns_nothing(scene: Scene) -> None:
    outdated = scene.attempt(etag="0xOLD")
    assert commit(scene.results, scene.source, outdated, scene.row()) is None
    assert scene.row().record == scene.first
    assert scene.is_clean


def test_an_attempt_at_a_deleted_image_removes_what_was_left(scene: Scene) -> None:
    row = scene.row()
    scene.account.delete(IMAGE)
    finish_interrupted(scene.results, IMAGE, row)
    assert scene.is_clean


def test_an_attempt_that_is_overtaken_at_its_row_returns_the_outcome_of_the_other(scene: Scene) -> None:
    """Both redo the same content. The other one begins later and ends first."""
    slow, fast = scene.attempt(label="dog"), replace(scene.attempt(label="fox"), model_version="other")
    results = scene.interrupted(
        "write_row", lambda: commit(scene.results, scene.source, fast, scene.row(), is_current_model=lambda _: True)
    )
    committed = commit(results, scene.source, slow, scene.row(), redo_before=slow.classified_at)
    assert committed == scene.row().record
    assert committed is not None
    assert committed.label == "fox"
    scene.account.index.pop(scene.left.keys, None)
    assert scene.is_clean


@pytest.mark.parametrize("step", ["write_sidecar", "write_index_row", "write_row"])
def test_an_attempt_that_is_overtaken_by_newer_content_leaves_and_returns_nothing(scene: Scene, step: str) -> None:
    def overwrite() -> None:
        newer = scene.attempt(label="fox", etag=scene.account.upload(IMAGE, b"second"))
        commit(scene.results, scene.source, newer, scene.row())

    slow = scene.attempt(label="dog")
    results = scene.interrupted(step, overwrite)
    assert commit(results, scene.source, slow, scene.row(), redo_before=slow.classified_at) is None
    committed = scene.row().record
    assert committed is not None
    assert committed.label == "fox"
    assert scene.is_clean


@pytest.mark.parametrize(("first", "second"), [(Status.FAILED, Status.REJECTED), (Status.REJECTED, Status.FAILED)])
def test_two_attempts_at_the_same_moment_differ_by_their_status(first: Status, second: Status) -> None:
    """Clocks repeat a time: what one attempt wrote is not what the other, which failed at that moment, wrote."""
    account = MemoryAccount()
    results: Any = MemoryResults(account)
    source: Any = MemorySource(account)
    etag = account.upload(IMAGE, b"first")
    one, other = (
        record("cat.jpg", etag=etag, status=status, label=None, label_index=None, score=None, predictions=())
        for status in (first, second)
    )
    commit(results, source, one, None)
    committed = commit(results, source, other, results.read_row(IMAGE))
    assert committed is not None
    assert committed.status is Status.REJECTED
    assert set(account.index) == committed.index_keys()


def test_a_duplicate_delivery_removes_what_was_left(scene: Scene) -> None:
    stores = Stores(scene.source, scene.results)
    assert classify_blob(stores, FixedClassifier(), IMAGE) == Finished(Outcome.DUPLICATE, scene.first)
    assert scene.is_clean


def test_a_row_whose_response_was_lost_is_the_outcome(scene: Scene) -> None:
    """The SDK sends a write again when its response is lost, and then finds its own row in the way."""
    write_row = scene.results.write_row

    def conflict_with_itself(record: Record, replaced: Stored | None) -> None:
        write_row(record, replaced)
        raise ConflictError(str(record.image))

    scene.results.write_row = conflict_with_itself
    redone = scene.attempt(label="dog")
    committed = commit(scene.results, scene.source, redone, scene.row(), redo_before=redone.classified_at)
    assert committed is not None
    assert committed == scene.row().record
    assert committed.label == "dog"
