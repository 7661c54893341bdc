"""The parts of a backfill without storage: what is selected, who waits for whom, what is tried again."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from inference.errors import ConfigurationError, TransientError
from storage.keys import RowKeys
from storage.listing import Listed
from storage.pipeline.classify_blob import Finished, Outcome
from storage.pipeline.stores import Stores
from storage.results.record import Image, Record, Status
from storage.results.serialization import to_entity
from tests.storage.results.store_fakes import FakeTable, service_order
from tests.storage.samples import MODEL, NOON, FixedClassifier, record
from tests.waiting import DEADLINE_SECONDS
from tools.backfill import local_run, pipeline
from tools.backfill.counts import Counts
from tools.backfill.display import JsonLines, Lines, Terminal
from tools.backfill.local_run import backfill_here
from tools.backfill.pipeline import Line, Unsettled
from tools.backfill.progress import State, Total, state
from tools.backfill.selection import Found, Selection, Why, to_do
from tools.process_stats import resident

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Places:
    """A container and a table in memory, as listings show them."""

    def __init__(self, pages: Callable[[], Iterator[Sequence[Listed]]], records: Sequence[Record] = ()) -> None:
        self._pages = pages
        self._rows = [to_entity(one) for one in records]

    def pages(self, _container: str, *, prefix: str | None = None) -> Iterator[Sequence[Listed]]:
        for page in self._pages():
            yield [blob for blob in page if blob.name.startswith(prefix or "")]

    def row_reader(self, _select: Sequence[str]) -> FakeTable:
        by_address = {RowKeys(row["PartitionKey"], row["RowKey"]): row for row in self._rows}
        return FakeTable(sorted(by_address, key=service_order), by_address.__getitem__)


def stores(places: Places) -> Stores:
    return Stores(cast("Any", places), cast("Any", places), now=lambda: NOON)


def blob(name: str, etag: str = "0x1", at: datetime = NOON) -> Listed:
    return Listed(name, etag, at, 10)


def selected(blobs: Sequence[Listed], *records: Record, **options: Any) -> dict[str, Why | None]:
    places = Places(lambda: iter([blobs]), records)
    selection = Selection(stores(places), "incoming", MODEL.version, **options)
    return {found.image.blob_name: found.why for found in selection}


def test_each_reason_to_do_something_is_told_apart() -> None:
    names = ("new", "done", "rejected", "changed", "failed", "other model")
    reasons = selected(
        [blob(name) for name in names],
        record("done", etag="0x1"),
        record("rejected", etag='"0x1"', status=Status.REJECTED),
        record("changed", etag="0x0"),
        record("failed", etag="0x1", status=Status.FAILED, model="", model_version=""),
        record("other model", etag="0x1", model_version="another"),
    )
    assert reasons == dict(zip(names, (Why.NEW, None, None, Why.CHANGED, Why.FAILED, Why.MODEL), strict=True))


def test_a_forced_run_takes_what_was_judged_before_its_time_and_goes_on_where_it_was() -> None:
    records = record("before", etag="0x1"), record("after", etag="0x1", classified_at=NOON + timedelta(seconds=1))
    reasons = selected([blob("after"), blob("before")], *records, redo_before=NOON + timedelta(seconds=1))
    assert reasons == {"after": None, "before": Why.FORCED}


def test_names_and_times_choose() -> None:
    blobs = [
        blob("a/1.jpg"),
        blob("a/b/2.jpg", at=NOON - timedelta(days=2)),
        blob("a/3.JPG"),
        blob("a/[4].jpg"),
        blob("b/5.jpg"),
    ]
    assert set(selected(blobs, prefix="a/")) == {"a/1.jpg", "a/b/2.jpg", "a/3.JPG", "a/[4].jpg"}
    assert set(selected(blobs, glob="*.jpg")) == {"a/1.jpg", "a/b/2.jpg", "a/[4].jpg", "b/5.jpg"}, "case counts"
    assert set(selected(blobs, glob="a/*.jpg")) == {"a/1.jpg", "a/b/2.jpg", "a/[4].jpg"}, "* also matches /"
    assert set(selected(blobs, glob="a/[[]4].jpg")) == {"a/[4].jpg"}
    assert set(selected(blobs, since=NOON)) == {"a/1.jpg", "a/3.JPG", "a/[4].jpg", "b/5.jpg"}, "since is inclusive"


def test_a_limit_is_on_what_is_done_not_on_what_is_seen() -> None:
    blobs = [blob(name) for name in "abcdef"]
    places = Places(lambda: iter([blobs]), [record("a", etag="0x1"), record("c", etag="0x1")])
    counts = Counts()
    chosen = to_do(Selection(stores(places), "incoming", MODEL.version), counts, 2, threading.Event())
    assert [found.image.blob_name for found in chosen] == ["b", "d"]
    assert (counts.listed, counts.skipped, counts.to_do) == (4, 2, 2)


def test_memory_does_not_grow_with_the_container() -> None:
    """150,000 names here, a million by hand: what is kept is a page and a thousand names in hand."""

    def pages() -> Iterator[list[Listed]]:
        for page in range(30):
            yield [blob(f"camera {page:03}/photo {number:04} of many.jpg") for number in range(5000)]

    grown: list[float] = []

    class OneByOne:
        threads = 8
        stopping = threading.Event()

        def classify_blob(self, image: Image, *, is_new: bool) -> Finished:
            if image.blob_name.endswith("0000 of many.jpg"):
                grown.append(resident().now_mib)
            return Finished(Outcome.DUPLICATE, None)

    selection = Selection(stores(Places(pages)), "incoming", MODEL.version)
    counts = Counts()
    backfill_here(selection, cast("Line", OneByOne()), counts)
    assert (counts.listed, counts.skipped) == (150_000, 150_000)
    assert max(grown[5:]) - grown[5] < 8


# --- the line ---------------------------------------------------------------------------------------------------------


class Companions:
    """Stands for the results that are put together: nothing is waited for."""

    def participating(self) -> Any:
        return nullcontext()

    def expect_no_row(self, image: Image) -> None: ...


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long."""
    monkeypatch.setattr(pipeline, "DELAYS_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(local_run, "DELAYS_SECONDS", (0.0, 0.0, 0.0))


def a_line(classifier: Any = None, cpus: int = 2) -> Line:
    empty = Places(lambda: iter([]))
    return Line(stores(empty), cast("Any", Companions()), classifier or FixedClassifier(), cpus)


IMAGE = Image("incoming", "a.jpg")


def settles(monkeypatch: pytest.MonkeyPatch, *ends: Any) -> list[Image]:
    """Have settling end like this, try by try."""
    tries: list[Image] = []

    def classify_blob(_desk: Stores, _classifier: Any, image: Image, **_options: Any) -> Finished:
        end = ends[min(len(tries), len(ends) - 1)]
        tries.append(image)
        if isinstance(end, Exception):
            raise end
        return Finished(end, record())

    monkeypatch.setattr(pipeline, "classify_blob", classify_blob)
    return tries


@pytest.mark.usefixtures("patient")
def test_what_fails_for_now_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = settles(monkeypatch, TransientError("busy"), TransientError("busy"), Outcome.COMMITTED)
    settled = a_line().classify_blob(IMAGE)
    assert isinstance(settled, Finished)
    assert settled.outcome is Outcome.COMMITTED
    assert len(tries) == 3


@pytest.mark.usefixtures("patient")
def test_an_image_that_was_overwritten_while_it_was_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """No event need come for the newer content: the app may not have been there yet."""
    tries = settles(monkeypatch, Outcome.SUPERSEDED, Outcome.COMMITTED)
    a_line().classify_blob(IMAGE)
    assert len(tries) == 2


@pytest.mark.usefixtures("patient")
def test_what_keeps_failing_is_given_up_in_a_row_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = settles(monkeypatch, TransientError("the disk is on fire"))
    given_up: list[tuple[Image, str]] = []

    def give_up(_desk: Stores, image: Image, error: str) -> Record:
        given_up.append((image, error))
        return record(status=Status.FAILED)

    monkeypatch.setattr(pipeline, "give_up", give_up)
    assert a_line().classify_blob(IMAGE) == Unsettled("the disk is on fire", written=True)
    assert given_up == [(IMAGE, "the disk is on fire")]
    assert len(tries) == 4


@pytest.mark.usefixtures("patient")
def test_giving_up_that_cannot_be_written_down_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise TransientError("storage is away")

    settles(monkeypatch, TransientError("busy"))
    monkeypatch.setattr(pipeline, "give_up", fail)
    assert a_line().classify_blob(IMAGE) == Unsettled("storage is away", written=False)


def test_a_line_that_stops_does_not_wait_for_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = settles(monkeypatch, TransientError("busy"))
    monkeypatch.setattr(pipeline, "DELAYS_SECONDS", (3600.0,))
    stopping = a_line()
    stopping.stopping.set()
    assert stopping.classify_blob(IMAGE) is None
    assert len(tries) == 1


def test_no_more_images_are_decoded_at_once_than_there_are_cpus_nor_held_than_there_are_places(
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
    busy = a_line(Slow(), cpus=3)
    with ThreadPoolExecutor(busy.threads) as pool:
        list(pool.map(busy.classify_blob, [IMAGE] * 300))
    assert most == {"held": 12, "decoding": 3}


@pytest.mark.parametrize("stage", ["list", "read", "decode", "infer", "write"])
def test_the_stage_that_most_wait_for_is_named(stage: str) -> None:
    busy = a_line(cpus=2)  # eight places
    at = {"list": (0, 3, 2), "read": (7, 1, 20), "decode": (1, 7, 20), "infer": (1, 7, 20), "write": (0, 2, 96)}[stage]
    for name, count in zip(("read", "decode", "write"), at, strict=True):
        for _ in range(count):
            busy.moved(None, name)
    answer = FixedClassifier().classify(b"")
    busy.spent(replace(answer, decode_ms=1, inference_ms=2 if stage == "infer" else 0))
    assert busy.limit() == stage


# --- a whole run ------------------------------------------------------------------------------------------------------


def founds(count: int) -> list[Found]:
    return [Found(Image("incoming", f"{number}.jpg"), None, Why.NEW) for number in range(count)]


@pytest.mark.usefixtures("patient")
def test_a_deployment_at_fault_stops_the_run_with_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = settles(monkeypatch, ConfigurationError("the key is wrong"))
    counts = Counts()
    with pytest.raises(ConfigurationError, match="the key is wrong"):
        backfill_here(founds(5000), a_line(), counts)
    assert len(tries) < 5000
    assert counts.done == 0


@pytest.mark.usefixtures("patient")
def test_a_listing_that_fails_begins_again_and_nothing_is_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    done: set[str] = set()

    def classify_blob(_desk: Stores, _classifier: Any, image: Image, **_options: Any) -> Finished:
        done.add(image.blob_name)
        status = Status.REJECTED if image.blob_name == "3.jpg" else Status.CLASSIFIED
        return Finished(Outcome.COMMITTED, record(image.blob_name, status=status))

    monkeypatch.setattr(pipeline, "classify_blob", classify_blob)
    faults = iter([True, True, False])

    class Listing:
        def __iter__(self) -> Iterator[Found]:
            fails = next(faults)
            for number, found in enumerate(founds(10)):
                if fails and number == 6:
                    raise TransientError("listing failed for now")
                name = found.image.blob_name
                status = Status.REJECTED if name == "3.jpg" else Status.CLASSIFIED
                yield Found(found.image, record(name, status=status), None) if name in done else found

    counts = Counts()
    backfill_here(Listing(), a_line(), counts)
    told = {name: getattr(counts, name) for name in ("listed", "skipped", "classified", "rejected", "rejected_earlier")}
    assert told == {"listed": 10, "skipped": 0, "classified": 9, "rejected": 1, "rejected_earlier": 0}


def test_a_rate_is_of_the_last_half_minute_and_a_summary_of_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("tools.backfill.counts.time.monotonic", lambda: clock[0])
    counts = Counts()
    for second in range(100):
        clock[0] = float(second)
        counts.classify_blob(record())
        if second >= 50:
            counts.classify_blob(record())
        rate = counts.images_per_s()
    assert 1.9 < rate < 2.1
    assert counts.summary()["images_per_s"] == pytest.approx(150 / 99, abs=0.01)


def a_state(**changes: Any) -> State:
    counts = Counts()
    counts.classify_blob(record())
    counts.classify_blob(record("bad.jpg", status=Status.REJECTED))
    values = {"total": 1000, "is_total": True, "images_per_s": 41.66, "eta_seconds": 61.4, "limit": "decode"}
    return State(counts, **{"stopping": False, **values, **changes})


def test_a_log_gets_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().show(a_state(stopping=True))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "2 of 1,000 images, 41.7 images/s, 0:01:01 left, 1 rejected, 0 failed; decode limits. "
        "Stopping: finishing what is in flight. Ctrl+C again stops at once.\n"
    )


def test_a_terminal_gets_a_view_that_nothing_in_a_name_can_break(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    view = Terminal("in\x1b[2Jcoming -> rows[bold]")
    view.show(a_state(is_total=False, eta_seconds=None))
    view.close()
    said = capsys.readouterr()
    assert said.out == ""
    assert "in\\x1b[2Jcoming -> rows[bold]" in said.err
    assert "2 of 1,000+" in said.err
    assert "1 rejected" in said.err


def test_json_progress_tells_no_total_that_is_not_known_yet(capsys: pytest.CaptureFixture[str]) -> None:
    JsonLines().show(a_state(is_total=False, eta_seconds=None))
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["done"], event["total"], event["eta_seconds"]) == ("progress", 2, None, None)


def test_the_total_is_counted_apart_from_the_work() -> None:
    done = Found(IMAGE, record(), None)
    total = Total([*founds(5), done, *founds(5)], limit=None)
    limited = Total([*founds(5), done, *founds(5)], limit=7)
    for each in (total, limited):
        each.join()
    assert (total.images, total.is_final) == (10, True)
    assert (limited.images, limited.is_final) == (7, True)
    now = state(Counts(), total, lambda: "read", threading.Event())
    assert (now.total, now.eta_seconds, now.limit) == (10, None, "read")
