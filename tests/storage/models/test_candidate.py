"""A candidate on trial: nothing waits for it, and each fault of it is logged once."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

from inference.errors import ConfigurationError, TransientError
from storage.models.candidate import CandidateModel
from tests.storage.models.test_hot_swap import Clock, Shelf
from tests.waiting import until

if TYPE_CHECKING:
    from tests.storage.samples import FixedClassifier


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def candidate(shelf: Shelf, clock: Clock) -> CandidateModel[FixedClassifier]:
    return CandidateModel([shelf], shelf.load, refresh_seconds=0, clock=clock, now=clock.now)


def rested(candidate: CandidateModel[FixedClassifier]) -> None:
    """Wait until no thread loads."""
    until(lambda: not candidate._refreshing.locked())


def test_no_call_waits_and_one_thread_loads(
    candidate: CandidateModel[FixedClassifier], shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shelf.gate.clear()
    assert [candidate.ready() for _ in range(20)] == [None] * 20
    assert sum(thread.name == "shadow-load" for thread in threading.enumerate()) == 1
    shelf.gate.set()
    found = until(candidate.ready, "the candidate")
    assert found is not None
    assert found.model.version == "1"
    assert shelf.loaded == ["1"]
    assert [line.getMessage().split()[0] for line in caplog.records] == ["shadow_serving"]


def test_a_broken_candidate_is_logged_once_and_never_as_an_error_of_the_model(
    candidate: CandidateModel[FixedClassifier], shelf: Shelf, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.broken.add("1")
    for _ in range(3):
        for _ in range(5):
            assert candidate.ready() is None
            rested(candidate)
        clock.seconds += 60
    (line,) = caplog.records
    assert (line.levelno, line.getMessage().split()[0]) == (logging.WARNING, "shadow_refused")
    assert "version 1 is broken" in line.getMessage()
    assert shelf.loaded == ["1"]
    shelf.version = "2"
    candidate.ready()
    found = until(candidate.ready, "the next version")
    assert found is not None
    assert found.model.version == "2"


@pytest.mark.parametrize(
    "error", [TransientError("storage is busy."), MemoryError(), ConfigurationError("no role.")], ids=repr
)
def test_a_passing_failure_is_tried_again_after_a_minute(
    error: Exception,
    candidate: CandidateModel[FixedClassifier],
    shelf: Shelf,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shelf.fetch_error = error
    for _ in range(3):
        assert candidate.ready() is None
        rested(candidate)
        clock.seconds += 60
    assert [line.levelno for line in caplog.records] == [logging.WARNING]
    shelf.fetch_error = None
    candidate.ready()
    assert until(candidate.ready, "the candidate") is not None
