"""The pipeline without storage: limits of its stages, attempts, and whole runs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from inference.errors import ConfigurationError, TransientError
from storage.pipeline.outcome import Finished, Outcome
from storage.results.record import Image, Record, Status
from tests.storage.samples import MODEL, FixedClassifier, record
from tests.tools.backfill.listings import Storage, blob, new_images, stores
from tests.waiting import DEADLINE_SECONDS
from tools.backfill import local_run, pipeline
from tools.backfill.counts import Counts
from tools.backfill.local_run import run_locally
from tools.backfill.pipeline import GivenUp, Pipeline
from tools.backfill.selection import Found, Selection
from tools.process_stats import resident

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.listing import Listed
    from storage.pipeline.stores import Stores


class UngroupedResults:
    """Results without grouping: no thread waits for another."""

    def participating(self) -> Any:
        return nullcontext()

    def expect_no_row(self, image: Image) -> None: ...


@pytest.fixture
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "DELAYS_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(local_run, "DELAYS_SECONDS", (0.0, 0.0, 0.0))


def new_pipeline(classifier: Any = None, cpus: int = 2) -> Pipeline:
    empty = Storage(lambda: iter([]))
    return Pipeline(stores(empty), cast("Any", UngroupedResults()), classifier or FixedClassifier(), cpus)


IMAGE = Image("incoming", "a.jpg")


def attempts_with(monkeypatch: pytest.MonkeyPatch, *results: Any) -> list[Image]:
    """Make each attempt return or raise the next of these; return the list of attempts."""
    attempts: list[Image] = []

    def classify_blob(_stores: Stores, _classifier: Any, image: Image, **_options: Any) -> Finished:
        result = results[min(len(attempts), len(results) - 1)]
        attempts.append(image)
        if isinstance(result, Exception):
            raise result
        return Finished(result, record())

    monkeypatch.setattr(pipeline, "classify_blob", classify_blob)
    return attempts


@pytest.mark.usefixtures("no_delays")
def test_temporary_errors_are_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = attempts_with(monkeypatch, TransientError("busy"), TransientError("busy"), Outcome.COMMITTED)
    finished = new_pipeline().classify(IMAGE)
    assert isinstance(finished, Finished)
    assert finished.outcome is Outcome.COMMITTED
    assert len(attempts) == 3


@pytest.mark.usefixtures("no_delays")
def test_an_image_that_was_overwritten_meanwhile_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app may not have received an event for the newer content."""
    attempts = attempts_with(monkeypatch, Outcome.SUPERSEDED, Outcome.COMMITTED)
    new_pipeline().classify(IMAGE)
    assert len(attempts) == 2


@pytest.mark.usefixtures("no_delays")
def test_an_image_that_keeps_failing_gets_a_failed_row(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = attempts_with(monkeypatch, TransientError("the disk is on fire"))
    given_up: list[tuple[Image, str]] = []

    def give_up(_stores: Stores, image: Image, error: str) -> Record:
        given_up.append((image, error))
        return record(status=Status.FAILED)

    monkeypatch.setattr(pipeline, "give_up", give_up)
    assert new_pipeline().classify(IMAGE) == GivenUp("the disk is on fire", is_recorded=True)
    assert given_up == [(IMAGE, "the disk is on fire")]
    assert len(attempts) == 4


@pytest.mark.usefixtures("no_delays")
def test_a_failed_row_that_cannot_be_written_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise TransientError("storage is away")

    attempts_with(monkeypatch, TransientError("busy"))
    monkeypatch.setattr(pipeline, "give_up", fail)
    assert new_pipeline().classify(IMAGE) == GivenUp("storage is away", is_recorded=False)


def test_a_stopped_pipeline_makes_no_further_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = attempts_with(monkeypatch, TransientError("busy"))
    monkeypatch.setattr(pipeline, "DELAYS_SECONDS", (3600.0,))
    pipe = new_pipeline()
    pipe.stopping.set()
    assert pipe.classify(IMAGE) is None
    assert len(attempts) == 1


def test_images_are_decoded_one_per_cpu_and_held_one_per_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first decodes wait until both limits are reached, so that they are reached on every machine."""
    lock, full = threading.Lock(), threading.Event()
    now = {"held": 0, "decoding": 0}
    most = dict(now)

    def enter(what: str, by: int) -> None:
        with lock:
            now[what] += by
            most[what] = max(most[what], now[what])
            if most == {"held": 12, "decoding": 3}:
                full.set()

    class Slow(FixedClassifier):
        def classify(self, content: bytes) -> Any:
            enter("decoding", 1)
            assert full.wait(DEADLINE_SECONDS), most
            enter("decoding", -1)
            return super().classify(content)

    def classify_blob(stores: Stores, classifier: Any, image: Image, **_options: Any) -> Finished:
        with stores.admit(10):
            enter("held", 1)
            classifier.classify(b"")
            enter("held", -1)
        return Finished(Outcome.COMMITTED, record())

    monkeypatch.setattr(pipeline, "classify_blob", classify_blob)
    busy = new_pipeline(Slow(), cpus=3)
    with ThreadPoolExecutor(busy.threads) as pool:
        list(pool.map(busy.classify, [IMAGE] * 300))
    assert most == {"held": 12, "decoding": 3}


@pytest.mark.parametrize("stage", ["list", "read", "decode", "infer", "write"])
def test_the_slowest_stage_is_named(stage: str) -> None:
    busy = new_pipeline(cpus=2)  # eight slots
    images = {"list": (0, 3, 2), "read": (7, 1, 20), "decode": (1, 7, 20), "infer": (1, 7, 20), "write": (0, 2, 96)}[
        stage
    ]
    for name, count in zip(("read", "decode", "write"), images, strict=True):
        for _ in range(count):
            busy.move(None, name)
    answer = FixedClassifier().classify(b"")
    busy.add_time(replace(answer, decode_ms=1, inference_ms=2 if stage == "infer" else 0))
    assert busy.slowest_stage() == stage


@pytest.mark.usefixtures("no_delays")
def test_an_error_of_the_deployment_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = attempts_with(monkeypatch, ConfigurationError("the key is wrong"))
    counts = Counts()
    with pytest.raises(ConfigurationError, match="the key is wrong"):
        run_locally(new_images(5000), new_pipeline(), counts)
    assert len(attempts) < 5000
    assert counts.done == 0


@pytest.mark.usefixtures("no_delays")
def test_a_listing_that_fails_is_restarted_and_no_image_is_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    done: set[str] = set()

    def classify_blob(_stores: Stores, _classifier: Any, image: Image, **_options: Any) -> Finished:
        done.add(image.blob_name)
        status = Status.REJECTED if image.blob_name == "3.jpg" else Status.CLASSIFIED
        return Finished(Outcome.COMMITTED, record(image.blob_name, status=status))

    monkeypatch.setattr(pipeline, "classify_blob", classify_blob)
    faults = iter([True, True, False])

    class Listing:
        def __iter__(self) -> Iterator[Found]:
            fails = next(faults)
            for number, found in enumerate(new_images(10)):
                if fails and number == 6:
                    raise TransientError("listing failed for now")
                name = found.image.blob_name
                status = Status.REJECTED if name == "3.jpg" else Status.CLASSIFIED
                yield Found(found.image, record(name, status=status), None) if name in done else found

    counts = Counts()
    run_locally(Listing(), new_pipeline(), counts)
    numbers = {
        name: getattr(counts, name) for name in ("listed", "skipped", "classified", "rejected", "rejected_earlier")
    }
    assert numbers == {"listed": 10, "skipped": 0, "classified": 9, "rejected": 1, "rejected_earlier": 0}


def test_memory_does_not_grow_with_the_container() -> None:
    """150,000 names; a page and a thousand names are held at a time."""

    def pages() -> Iterator[list[Listed]]:
        for page in range(30):
            yield [blob(f"camera {page:03}/photo {number:04} of many.jpg") for number in range(5000)]

    grown: list[float] = []

    class OneByOne:
        threads = 8
        stopping = threading.Event()

        def classify(self, image: Image, *, is_new: bool) -> Finished:
            if image.blob_name.endswith("0000 of many.jpg"):
                grown.append(resident().now_mib)
            return Finished(Outcome.DUPLICATE, None)

    selection = Selection(stores(Storage(pages)), "incoming", MODEL.version)
    counts = Counts()
    run_locally(selection, cast("Pipeline", OneByOne()), counts)
    assert (counts.listed, counts.skipped) == (150_000, 150_000)
    assert max(grown[5:]) - grown[5] < 8
