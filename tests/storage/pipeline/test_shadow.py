"""A candidate on trial: which images it answers, and that nothing it does reaches the result."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import ConfigurationError, ModelError, PermanentError, Reason, TransientError
from inference.predictions import Answer, Decided, ModelIdentity, Prediction
from storage.clients import connect
from storage.connection import Connection
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.shadow import MAX_SECONDS, PAUSE_SECONDS, Shadow
from storage.pipeline.stores import Stores
from storage.results.amend import amend
from storage.results.record import Image
from tests.storage.conftest import MAX_BYTES
from tests.storage.samples import FixedClassifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.predictions import Classification, ImageClassifier
    from tests.storage.conftest import Account
    from tools.azurite.azurite import Azurite

CANDIDATE = ModelIdentity("shapes", "ba9876543210")
PRESENT = ModelIdentity("shapes", "0123456789ab")
CAT = Image("incoming", "cat.jpg")
DOG = Answer(CANDIDATE, "dog", 0, 0.75, (Prediction("dog", 0, 0.75),))


class Slow(FixedClassifier):
    """Takes as long as a test says, by a clock that it moves."""

    takes = 0.0
    now = 1000.0

    def clock(self) -> float:
        return self.now

    def classify(self, content: bytes) -> Classification:
        self.now += self.takes
        return super().classify(content)


def trial(candidate: Slow, share: float = 1.0) -> Shadow:
    return Shadow(lambda: candidate, share, clock=candidate.clock)


@pytest.fixture
def candidate() -> Slow:
    return Slow("dog", CANDIDATE)


@given(st.text(min_size=1), st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_the_images_of_a_smaller_one(name: str, etag: str, one: float, other: float) -> None:
    image = Image("incoming", name)
    less, more = (Shadow(lambda: None, share) for share in sorted((one, other)))
    assert more.chooses(image, etag) or not less.chooses(image, etag)
    assert Shadow(lambda: None, 1).chooses(image, etag)
    assert not Shadow(lambda: None, 0).chooses(image, etag)


def test_half_of_the_images_are_chosen_and_a_new_upload_is_drawn_again() -> None:
    half = Shadow(lambda: None, 0.5)
    by_name = [half.chooses(Image("incoming", f"{number}.jpg"), "0x1") for number in range(2000)]
    by_etag = [half.chooses(CAT, f"0x{number:X}") for number in range(2000)]
    for drawn in (by_name, by_etag):
        assert 900 < sum(drawn) < 1100  # 4.5 standard deviations
    # By `printf 'incoming/0.jpg\n0x1' | sha256sum`, and so on to 7: be 24 59 e5 00 bf 17 57.
    assert by_name[:8] == [first < 0x80 for first in bytes.fromhex("be2459e500bf1757")]


@pytest.mark.parametrize(
    "error",
    [
        ModelError("broken."),
        TransientError("memory ran out."),
        ConfigurationError("refused."),
        MemoryError(),
        RuntimeError("native"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_candidate_that_fails_costs_one_line_and_pauses(
    error: Exception, candidate: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    shadow = trial(candidate)
    candidate.error = error
    for _ in range(3):
        assert shadow.answer(CAT, b"miaow", PRESENT) is None
    assert len(candidate.asked) == 1
    candidate.now += PAUSE_SECONDS
    assert shadow.answer(CAT, b"miaow", PRESENT) is None
    assert len(candidate.asked) == 2
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert line.getMessage().startswith(f"shadow_failed version={CANDIDATE.version} error={error or 'MemoryError'}")
    candidate.error = None
    candidate.now += PAUSE_SECONDS
    assert shadow.answer(CAT, b"miaow", PRESENT) == DOG


def test_an_image_that_the_candidate_refuses_pauses_nothing(candidate: Slow, caplog: pytest.LogCaptureFixture) -> None:
    shadow = trial(candidate)
    candidate.error = PermanentError(Reason.TOO_MANY_PIXELS, "It takes too much memory.")
    assert [shadow.answer(CAT, b"miaow", PRESENT) for _ in range(2)] == [None, None]
    assert len(candidate.asked) == 2
    assert len(caplog.records) == 1


def test_a_slow_candidate_answers_once_a_minute(candidate: Slow, caplog: pytest.LogCaptureFixture) -> None:
    shadow = trial(candidate)
    candidate.takes = MAX_SECONDS + 0.1
    for _ in range(3):
        assert shadow.answer(CAT, b"miaow", PRESENT) == DOG
        assert shadow.answer(CAT, b"miaow", PRESENT) is None
        candidate.now += PAUSE_SECONDS
    assert len(candidate.asked) == 3
    assert [line.getMessage().split()[0] for line in caplog.records] == ["shadow_paused"]
    candidate.takes = MAX_SECONDS / 2
    assert [shadow.answer(CAT, b"miaow", PRESENT) for _ in range(2)] == [DOG, DOG]


def test_the_model_itself_is_no_candidate(candidate: Slow) -> None:
    assert trial(candidate).answer(CAT, b"miaow", CANDIDATE) is None
    assert candidate.asked == []


def test_a_candidate_answers_by_its_rules() -> None:
    class Rules:
        version = "1"

        def decide(self, scores: bytes, blob_name: str) -> Decided:
            return Decided(f"pet of {blob_name}", None, len(scores) / 8)

    candidate = Slow("dog", CANDIDATE, decision=Rules())
    assert trial(candidate).answer(CAT, b"miaow", PRESENT) == DOG._replace(
        label="pet of cat.jpg", label_index=None, score=0.5
    )


def shadowed(account: Account, candidate: Callable[[], ImageClassifier | None], share: float = 1.0) -> Stores:
    return Stores(account.source, account.results, shadow=Shadow(candidate, share))


def test_the_answer_stands_beside_the_result_and_changes_nothing_else(
    account: Account, candidate: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    account.upload("a/cat.jpg", b"miaow")
    image = account.image("a/cat.jpg")
    with_candidate = classify_blob(shadowed(account, lambda: candidate), FixedClassifier(), image).record
    row, sidecar = account.results.read_row(image), account.results.read_sidecar(image)
    assert with_candidate is not None
    assert row is not None
    assert row.record is not None
    assert sidecar is not None
    assert sidecar.record == with_candidate
    assert with_candidate.shadow == DOG
    assert row.record == replace(with_candidate, shadow=DOG._replace(predictions=()))
    assert candidate.asked == [b"miaow"]
    assert " shadow_ms=" in caplog.text
    stores = Stores(account.source, account.results)
    without = classify_blob(stores, FixedClassifier(), image, redo_before=datetime.now(UTC)).record
    assert without is not None
    measured = ("classified_at", "duration_ms", "queue_delay_ms", "superseded", "shadow")
    changes = {name: getattr(with_candidate, name) for name in measured}
    assert replace(without, **changes) == with_candidate
    assert caplog.text.count(" shadow_ms=") == 1


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["share 0", "not loaded"])
def test_without_an_answer_nothing_is_written(account: Account, candidate: Slow, share: float) -> None:
    account.upload("cat.jpg", b"miaow")
    stores = shadowed(account, lambda: None if share else candidate, share)
    record = classify_blob(stores, FixedClassifier(), account.image()).record
    assert record is not None
    assert record.shadow is None
    assert candidate.asked == []
    (entity,) = account.clients.tables.get_table_client(account.table).list_entities()
    assert "shadow" not in entity


def test_retries_and_rejections_ask_no_candidate(account: Account, candidate: Slow) -> None:
    account.upload("cat.jpg", b"miaow")
    stores = shadowed(account, lambda: candidate)
    for _ in range(2):
        classify_blob(stores, FixedClassifier(), account.image())
    assert len(candidate.asked) == 1
    account.upload("notes.txt", b"text")
    refusal = PermanentError(Reason.NOT_AN_IMAGE, "These bytes are no image.")
    classify_blob(stores, FixedClassifier(error=refusal), account.image("notes.txt"))
    assert len(candidate.asked) == 1


def test_a_candidate_costs_no_request(account: Account, azurite: Azurite, candidate: Slow, sent: list[str]) -> None:
    counted = account.over(connect(Connection("ImageStorage", azurite.connection_string), max_blob_bytes=MAX_BYTES))
    methods = []
    classify_blob(Stores(account.source, account.results), FixedClassifier(), account.image())  # creates the tables
    account.upload("first.jpg", b"first")
    classify_blob(Stores(account.source, account.results), FixedClassifier(), account.image("first.jpg"))
    for name, shadow in (("a.jpg", None), ("b.jpg", trial(candidate))):
        account.upload(name, b"miaow")
        sent.clear()
        classify_blob(Stores(counted.source, counted.results, shadow=shadow), FixedClassifier(), account.image(name))
        methods.append([line.split()[0] for line in sent])
    assert len(candidate.asked) == 1
    assert methods == [["GET", "GET", "PUT", "PUT", "PUT", "POST"]] * 2
    counted.clients.close()


def test_a_later_decision_keeps_the_answer(account: Account, candidate: Slow) -> None:
    etag = account.upload("cat.jpg", b"miaow")
    image = account.image()
    classify_blob(shadowed(account, lambda: candidate), FixedClassifier(), image)
    assert amend(account.results, image, etag, lambda record: replace(record, label="lynx", label_index=None))
    row, sidecar = account.results.read_row(image), account.results.read_sidecar(image)
    assert row is not None
    assert row.record is not None
    assert sidecar is not None
    assert sidecar.record is not None
    assert (row.record.label, row.record.shadow) == ("lynx", DOG._replace(predictions=()))
    assert (sidecar.record.label, sidecar.record.shadow) == ("lynx", DOG)
