"""Failed images are queued again after growing delays, and have a ``failed`` row after the last attempt."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from inference.errors import ClassificationError, ConfigurationError, TransientError
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.messages import Request
from storage.pipeline.retries import Retries, give_up
from storage.pipeline.stores import Stores
from storage.results.record import Image, Record, Status
from tests.storage.fakes import MemoryAccount, MemoryResults, MemorySource
from tests.storage.samples import FixedClassifier

if TYPE_CHECKING:
    from inference.predictions import Classification

DELAYS = (60, 300)
REDO = datetime(2026, 11, 1, tzinfo=UTC)  # before every outcome of these tests
CAT, DOG = Image("incoming", "cat.jpg"), Image("incoming", "dog.jpg")


class SentRequests:
    """Keeps the requests that are sent, with their delays."""

    def __init__(self) -> None:
        self.sent: list[tuple[Request, int]] = []
        self.error: Exception | None = None

    def send(self, request: Request, *, delay_seconds: int = 0) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((request, delay_seconds))


class FailingFor(FixedClassifier):
    """Fails for one content, and classifies every other."""

    def __init__(self, content: bytes, kind: type[ClassificationError] = TransientError) -> None:
        super().__init__()
        self.failing, self.kind = content, kind

    def classify(self, content: bytes) -> Classification:
        if content == self.failing:
            raise self.kind("The model is unavailable.")
        return super().classify(content)


class TwoImages:
    """Two images in memory, and a queue that keeps what it is sent."""

    def __init__(self) -> None:
        self.account = MemoryAccount()
        for image in (CAT, DOG):
            self.account.upload(image, image.blob_name.encode())
        self.results = MemoryResults(self.account)
        self.stores = Stores(cast("Any", MemorySource(self.account)), cast("Any", self.results))
        self.queue = SentRequests()
        self.retries = Retries(self.stores, cast("Any", self.queue), DELAYS)

    def record(self, image: Image) -> Record | None:
        row = self.results.read_row(image)
        return row.record if row else None

    def label(self, image: Image) -> str | None:
        record = self.record(image)
        return record.label if record else None


@pytest.fixture
def images() -> TwoImages:
    return TwoImages()


def both(attempt: int = 0) -> Request:
    return Request("incoming", ("cat.jpg", "dog.jpg"), attempt, REDO)


def only(name: str, attempt: int = 0) -> Request:
    return Request("incoming", (name,), attempt, REDO)


@pytest.mark.parametrize("kind", [TransientError, ConfigurationError])
@pytest.mark.parametrize(("attempt", "delay"), list(enumerate(DELAYS)))
def test_only_the_image_that_failed_is_queued_again(
    images: TwoImages, attempt: int, delay: int, kind: type[ClassificationError], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    images.retries.classify_request(both(attempt), lambda: FailingFor(b"dog.jpg", kind))
    cat = images.record(CAT)
    assert cat is not None
    assert cat.status is Status.CLASSIFIED
    assert images.record(DOG) is None
    assert images.queue.sent == [(only("dog.jpg", attempt + 1), delay)]
    (line,) = (message for message in caplog.messages if message.startswith("image_finished"))
    assert f" attempt={attempt} " in line


def test_a_request_to_redo_replaces_the_outcomes_before_its_time(images: TwoImages) -> None:
    images.retries.classify_request(both(), lambda: FixedClassifier("cat"))
    images.retries.classify_request(both(), lambda: FixedClassifier("lynx"))
    assert (images.label(CAT), images.label(DOG)) == ("cat", "cat")
    request = replace(both(), redo_before=datetime.now(UTC) + timedelta(seconds=1))
    images.retries.classify_request(request, lambda: FixedClassifier("lynx"))
    assert (images.label(CAT), images.label(DOG)) == ("lynx", "lynx")


def test_a_model_that_cannot_be_loaded_delays_every_image(images: TwoImages) -> None:
    def load() -> FixedClassifier:
        raise ConfigurationError("There is no model.")

    images.retries.classify_request(both(), load)
    assert images.queue.sent == [(both(attempt=1), DELAYS[0])]


def test_the_last_attempt_writes_a_failed_row(images: TwoImages, caplog: pytest.LogCaptureFixture) -> None:
    images.retries.classify_request(both(len(DELAYS)), lambda: FailingFor(b"dog.jpg"))
    dog = images.record(DOG)
    assert dog is not None
    assert (dog.status, dog.reason, dog.detail) == (Status.FAILED, "gave_up", "The model is unavailable.")
    assert images.queue.sent == []
    assert 'image_failed image="incoming/dog.jpg" error=The model is unavailable. do=redrive' in caplog.messages


def test_a_request_that_cannot_be_queued_stays_with_the_host(images: TwoImages) -> None:
    images.queue.error = TransientError("The queue is unavailable.")
    with pytest.raises(TransientError, match="queue is unavailable"):
        images.retries.classify_request(both(), lambda: FailingFor(b"dog.jpg"))


def test_a_failed_row_that_cannot_be_written_is_tried_again_after_the_longest_delay(
    images: TwoImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(self: MemoryResults, image: Image) -> None:
        raise TransientError(f"reading the row of {image} failed for now (503).")

    monkeypatch.setattr(MemoryResults, "read_row", unavailable)
    images.retries.give_up(both(), {DOG: "The worker crashed."})
    assert images.queue.sent == [(only("dog.jpg", len(DELAYS)), DELAYS[-1])]


def test_giving_up_keeps_another_outcome(images: TwoImages) -> None:
    classify_blob(images.stores, FixedClassifier("cat"), CAT)
    committed = give_up(images.stores, CAT, "The worker crashed.")
    assert committed == images.record(CAT)
    assert committed is not None
    assert committed.status is Status.CLASSIFIED


def test_giving_up_a_deleted_blob_writes_nothing(images: TwoImages) -> None:
    images.account.delete(DOG)
    assert give_up(images.stores, DOG, "The worker crashed.") is None
    assert images.record(DOG) is None


def test_a_long_error_is_cut(images: TwoImages) -> None:
    record = give_up(images.stores, DOG, "x" * 5000)
    assert record is not None
    assert record.detail == "x" * 1000


def test_an_abandoned_message_of_several_images_is_split_with_its_attempts_unchanged(images: TwoImages) -> None:
    images.retries.end_abandoned(both(attempt=1), "The worker crashed.")
    assert images.queue.sent == [
        (only("cat.jpg", attempt=1), 0),
        (only("dog.jpg", attempt=1), 0),
    ]
    assert images.record(CAT) is images.record(DOG) is None


def test_an_abandoned_message_of_one_image_ends_in_a_failed_row(images: TwoImages) -> None:
    images.retries.end_abandoned(Request("incoming", ("dog.jpg",)), "The worker crashed.")
    dog = images.record(DOG)
    assert dog is not None
    assert (dog.status, dog.detail) == (Status.FAILED, "The worker crashed.")
    assert images.queue.sent == []


def test_a_message_that_cannot_be_split_stays_with_the_host(images: TwoImages) -> None:
    images.queue.error = TransientError("The queue is away.")
    with pytest.raises(TransientError):
        images.retries.end_abandoned(both(), "The worker crashed.")


def test_an_error_without_a_class_concerns_its_image_alone(images: TwoImages, caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(FixedClassifier):
        def classify(self, content: bytes) -> Classification:
            if content == b"cat.jpg":
                raise ZeroDivisionError
            return super().classify(content)

    images.retries.classify_request(both(), Faulty)
    assert [(request.blobs, delay) for request, delay in images.queue.sent] == [(("cat.jpg",), DELAYS[0])]
    dog = images.record(DOG)
    assert dog is not None
    assert dog.status is Status.CLASSIFIED
    assert "ZeroDivisionError" in caplog.text
