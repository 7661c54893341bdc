"""The tools of the chaos run are themselves on trial: a proxy that lies, or a checker that is blind, proves nothing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ResourceNotFoundError,
    ServiceResponseError,
)
from azure.data.tables import EntityProperty, TableServiceClient, UpdateMode
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from inference.classifier import Classifier, load
from inference.errors import PermanentError
from storage.blobs import SourceBlobs
from storage.clients import connect
from storage.connection import Connection
from storage.keys import RowKeys
from storage.pipeline.classify_blob import Stores, classify_blob
from storage.results.record import Image, IndexRow
from storage.results.store import Results
from tools.__main__ import main
from tools.azurite.azurite import connection_string
from tools.chaos.checker import Checker, Verdict
from tools.chaos.faults import Call, Fault, Mishap, SeededFaults
from tools.chaos.images import MAX_BYTES, picture
from tools.chaos.proxy import between
from tools.chaos.workload import Act, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite

SHAPES = Path(__file__).resolve().parents[3] / "models" / "shapes"


class TestFaults:
    CALLS = [Call("blob", "GET", f"/account/incoming/{number}.jpg") for number in range(2000)]  # noqa: RUF012

    def test_are_the_same_with_the_same_seed_in_whatever_order_the_calls_come(self) -> None:
        one, other = SeededFaults(7, 0.05), SeededFaults(7, 0.05)
        forwards = {call: (one(call), one(call)) for call in self.CALLS}
        backwards = {call: (other(call), other(call)) for call in reversed(self.CALLS)}
        assert forwards == backwards
        assert any(first != second for first, second in forwards.values()), "a call that failed once fails for ever"

    def test_differ_with_the_seed(self) -> None:
        assert [SeededFaults(1, 0.5)(call) for call in self.CALLS] != [
            SeededFaults(2, 0.5)(call) for call in self.CALLS
        ]

    def test_are_as_frequent_as_wanted_and_of_every_kind(self) -> None:
        faults = SeededFaults(3, 0.05)
        met = [mishap for call in self.CALLS if (mishap := faults(call))]
        assert 0.035 < len(met) / len(self.CALLS) < 0.065
        assert {mishap.fault for mishap in met} == set(Fault)
        assert all(0 <= mishap.seconds <= 3 for mishap in met)
        assert sum(faults.chosen.values()) == len(met)


class TestPlan:
    def test_is_the_same_with_the_same_seed(self) -> None:
        assert plan(50, 1, 10) == plan(50, 1, 10)
        assert plan(50, 1, 10) != plan(50, 2, 10)

    def test_does_everything_to_some(self) -> None:
        steps = plan(400, 1, 10)
        done = Counter(step.act for step in steps)
        assert set(done) == set(Act)
        again = [step for step in steps if step.act is Act.UPLOAD and not step.content_seed.endswith("/0")]
        assert done[Act.UPLOAD] == 400 + len(again)
        assert again, "no deleted blob came back"

    def test_draws_pictures_good_and_broken(self) -> None:
        classifier = load(SHAPES)

        def judged(content: bytes) -> str:
            try:
                return classifier.classify(content).image.format if len(content) <= MAX_BYTES else "too large"
            except PermanentError as error:
                return str(error.reason)

        kinds = Counter(judged(picture(f"1/{number}")) for number in range(300))
        assert set(kinds) >= {"jpeg", "png", "empty", "not_an_image", "truncated", "too large"}
        assert kinds["jpeg"] + kinds["png"] > 200


class OneFault:
    """Lets the next call of one method meet a fault, all others pass."""

    def __init__(self) -> None:
        self._waiting: dict[str, Mishap] = {}
        self.seen: list[Call] = []

    def __call__(self, call: Call) -> Mishap | None:
        self.seen.append(call)
        return self._waiting.pop(call.method, None)

    def for_the_next(self, method: str, mishap: Mishap) -> None:
        self._waiting[method] = mishap

    def is_met(self) -> bool:
        return not self._waiting


@pytest.fixture(scope="module")
def fault() -> OneFault:
    return OneFault()


@pytest.fixture(scope="module")
def through(azurite: Azurite, fault: OneFault) -> Iterator[str]:
    """The connection string of the way through the proxy."""
    with between(azurite.ports, fault) as fronts:
        yield connection_string(fronts)


# What the caller sees of a fault, with which status, and whether the call had its effect.
OUTCOMES: dict[Fault, tuple[type[AzureError] | None, int | None, bool]] = {
    Fault.BUSY: (HttpResponseError, 503, False),
    Fault.BROKEN: (HttpResponseError, 500, False),
    Fault.BROKEN_AFTER: (HttpResponseError, 500, True),
    Fault.DROPPED: (ServiceResponseError, None, False),
    Fault.DROPPED_AFTER: (ServiceResponseError, None, True),
    Fault.LATE: (None, None, True),
    Fault.SLOW: (None, None, True),
}


class TestProxy:
    def test_passes_blobs_queues_and_tables_unharmed(self, through: str, names: Names) -> None:
        """Signed requests, bodies in chunks, listings over several pages, names that need escapes."""
        container = BlobServiceClient.from_connection_string(through).create_container(names.container())
        content = bytes(range(256)) * 2000
        for number in range(3):
            container.upload_blob(f"a b/100% #{number}.jpg", content)
        container.upload_blob("stream", (content[start : start + 100] for start in range(0, 1000, 100)))
        assert container.download_blob("a b/100% #1.jpg").readall() == content
        assert container.download_blob("stream").readall() == content[:1000]
        assert container.get_blob_client("a b/100% #1.jpg").get_blob_properties().size == len(content)
        assert len(list(container.list_blobs(results_per_page=2))) == 4
        container.delete_blob("stream")

        queue = QueueServiceClient.from_connection_string(through).create_queue(names.queue())
        queue.send_message("höre")
        (message,) = queue.receive_messages()
        assert message.content == "höre"
        queue.delete_message(message)

        table = TableServiceClient.from_connection_string(through).create_table(names.table())
        table.submit_transaction([("upsert", {"PartitionKey": "p|1", "RowKey": f"'{n}'"}) for n in range(20)])
        assert len(list(table.list_entities(results_per_page=7))) == 20
        table.delete_entity("p|1", "'3'")
        with pytest.raises(ResourceNotFoundError):
            table.get_entity("p|1", "'3'")

    @pytest.mark.parametrize("kind", OUTCOMES, ids=str)
    @pytest.mark.parametrize("service", ["blob", "queue", "table"])
    def test_does_to_a_write_what_it_is_told(
        self, service: str, kind: Fault, through: str, fault: OneFault, names: Names
    ) -> None:
        seen, status, done = OUTCOMES[kind]
        write, is_done = writer(service, through, names)
        fault.for_the_next("PUT" if service == "blob" else "POST", Mishap(kind, 0.05))
        if seen is None:
            write()
        else:
            with pytest.raises(seen) as raised:
                write()
            assert getattr(raised.value, "status_code", None) == status
            if status and service != "table":  # whose client keeps the service's own code to itself here
                assert getattr(raised.value, "error_code", None), "the service's own code is missing"
        assert fault.is_met()
        assert is_done() is done

    def test_cuts_an_answer_short(self, through: str, fault: OneFault, names: Names) -> None:
        container = BlobServiceClient.from_connection_string(through, retry_total=0).create_container(names.container())
        container.upload_blob("a", b"a")
        fault.for_the_next("GET", Mishap(Fault.CUT))
        with pytest.raises(IncompleteReadError):
            list(container.list_blobs())

    def test_names_each_call(self, through: str, fault: OneFault, names: Names) -> None:
        name = names.container("named")
        BlobServiceClient.from_connection_string(through).create_container(name)
        assert fault.seen[-1] == Call("blob", "PUT", f"/devstoreaccount1/{name}")


def writer(service: str, through: str, names: Names) -> tuple[Callable[[], object], Callable[[], bool]]:
    """A write through the proxy that is not tried again, and whether it has had its effect."""
    if service == "blob":
        container = BlobServiceClient.from_connection_string(through, retry_total=0).create_container(names.container())
        return lambda: container.upload_blob("a", b"a"), lambda: container.get_blob_client("a").exists()
    if service == "queue":
        queue = QueueServiceClient.from_connection_string(through, retry_total=0).get_queue_client(names.queue())
        queue.create_queue()
        return lambda: queue.send_message("a"), lambda: queue.get_queue_properties().approximate_message_count == 1
    table = TableServiceClient.from_connection_string(through, retry_total=0).create_table(names.table())
    entity = {"PartitionKey": "p", "RowKey": "r"}
    return lambda: table.create_entity(entity), lambda: len(list(table.list_entities())) == 1


class World:
    """Images that the app has settled, a checker that looks at them, and hands to falsify what it finds."""

    NAMES = ("a.jpg", "trap 7/ü #1.jpg", "what?/100%|=.png", "broken.jpg", "large.jpg")

    def __init__(self, azurite: Azurite, names: Names, classifier: Classifier) -> None:
        self.incoming, self.container, self.table = names.container("in"), names.container("out"), names.table("rows")
        self.clients = connect(Connection("ImageStorage", azurite.connection_string))
        self.source = self.clients.blobs.create_container(self.incoming)
        self.results = Results(self.clients, table=self.table, container=self.container)
        self.stores = Stores(SourceBlobs(self.clients.blobs, MAX_BYTES), self.results)
        self._classifier = classifier
        self._checker = Checker(
            azurite.connection_string,
            incoming=self.incoming,
            results=self.container,
            table=self.table,
            classifier=classifier,
            max_bytes=MAX_BYTES,
            passed_over="copied/",
        )
        for number, name in enumerate(self.NAMES):
            content = b"no image" if name == "broken.jpg" else bytes(MAX_BYTES + 1) if name == "large.jpg" else None
            self.put(name, content or picture(f"good/{number}"))
            self.classify_blob(name)

    def put(self, name: str, content: bytes) -> None:
        self.source.upload_blob(name, content, overwrite=True)

    def classify_blob(self, name: str) -> None:
        classify_blob(self.stores, self._classifier, Image(self.incoming, name))

    def check(self) -> Verdict:
        return self._checker.check(self.NAMES)

    def stored(self, name: str = "a.jpg") -> Any:
        stored = self.results.read_row(Image(self.incoming, name))
        assert stored is not None
        return stored

    def change_row(self, **columns: object) -> None:
        """Change columns of a row, and of nothing else."""
        keys = self.stored().record.to_entity()
        table = self.clients.tables.get_table_client(self.table)
        address = {name: keys[name] for name in ("PartitionKey", "RowKey")}
        table.update_entity({**address, **columns}, mode=UpdateMode.MERGE)

    def index_rows(self) -> tuple[IndexRow, ...]:
        return tuple(self.stored().record.index_rows())


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load(SHAPES)


@pytest.fixture
def world(azurite: Azurite, names: Names, classifier: Classifier) -> Iterator[World]:
    made = World(azurite, names, classifier)
    yield made
    made.clients.close()


def claim(row: IndexRow, **columns: object) -> IndexRow:
    return IndexRow(row.keys, {**row.columns, **columns})


def at_another_time(world: World) -> IndexRow:
    record = world.stored().record
    return replace(record, classified_at=record.classified_at - timedelta(days=1)).index_rows()[0]  # type: ignore[no-any-return]


def half_doubled(world: World) -> None:
    """A second row of the same image under another key."""
    entity = {**world.stored().record.to_entity(), "RowKey": "another"}
    world.clients.tables.get_table_client(world.table).create_entity(entity)


def edited_sidecar(world: World) -> None:
    stored = world.results.read_sidecar(Image(world.incoming, "a.jpg"))
    assert stored is not None
    assert stored.record is not None
    world.results.write_sidecar(replace(stored.record, label="another"), stored)


def never_uploaded(world: World) -> None:
    world.results.write_row(replace(world.stored().record, blob_name="never.jpg"), None)


def with_row_of_copied(world: World) -> None:
    world.put("copied/a.json", b"{}")
    world.results.write_row(replace(world.stored().record, blob_name="copied/a.json"), None)


FALSEHOODS: dict[str, tuple[Callable[[World], object], str]] = {
    "a row that is gone": (
        lambda w: w.results.delete_row(Image(w.incoming, "a.jpg"), w.stored().token),
        "missing row",
    ),
    "two rows": (half_doubled, "doubled row"),
    "a row about an earlier content": (lambda w: w.put("a.jpg", picture("good/other")), "stale row"),
    "another label": (lambda w: w.change_row(label="another"), "wrong row"),
    "another score": (lambda w: w.change_row(score=0.123), "wrong row"),
    "another model": (lambda w: w.change_row(model_version="0123456789ab"), "wrong row"),
    "another length": (lambda w: w.change_row(content_length=EntityProperty(7, "Edm.Int32")), "wrong row"),
    "a verdict that is none": (lambda w: w.change_row(status="rejected"), "wrong row"),
    "a reason where there is none": (lambda w: w.change_row(reason="empty"), "wrong row"),
    "a row that says it failed": (lambda w: w.change_row(status="failed"), "failed row"),
    "a sidecar that is gone": (
        lambda w: w.clients.blobs.get_blob_client(w.container, "a.jpg.json").delete_blob(),
        "missing sidecar",
    ),
    "a sidecar that says something else": (edited_sidecar, "sidecar at odds"),
    "an index row that is gone": (lambda w: w.results.delete_index_row(w.index_rows()[1].keys), "missing index row"),
    "an index row left behind": (lambda w: w.results.write_index_row(at_another_time(w)), "index row that lies"),
    "an index row with another score": (
        lambda w: w.results.write_index_row(claim(w.index_rows()[0], score=0.123)),
        "index row at odds",
    ),
    "an index row of nothing": (
        lambda w: w.results.write_index_row(
            IndexRow(RowKeys("status|classified|79738879", "1|2"), {**w.index_rows()[0].columns, "blob_name": "x"})
        ),
        "results of nothing",
    ),
    "a row of what never was": (never_uploaded, "results of nothing"),
    "a row of a copied sidecar": (with_row_of_copied, "results of nothing"),
}


class TestChecker:
    def test_finds_nothing_where_all_is_well(self, world: World) -> None:
        """It agrees with the app on every key of awkward names, although it has the rules from the documents only."""
        verdict = world.check()
        assert verdict.wrong == []
        assert (verdict.images, verdict.remains) == (len(World.NAMES), Counter())
        assert verdict.statuses == {"classified": 3, "rejected": 2}

    @pytest.mark.parametrize(("falsify", "kind"), FALSEHOODS.values(), ids=FALSEHOODS.keys())
    def test_sees(self, falsify: Callable[[World], object], kind: str, world: World) -> None:
        falsify(world)
        assert kind in world.check().kinds

    def test_lists_what_is_left_of_deleted_blobs_apart(self, world: World) -> None:
        world.source.delete_blob("a.jpg")
        world.source.delete_blob("broken.jpg")
        stored = world.stored("broken.jpg")
        world.results.delete_row(Image(world.incoming, "broken.jpg"), stored.token)
        verdict = world.check()
        assert verdict.wrong == []
        assert verdict.remains == {"deleted, with row": 1, "deleted, half-written": 1}


def test_a_short_storm_ends_in_one_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Events are pushed here: a killed scanner's lease of half a minute is for the long runs."""
    log = tmp_path / "host.log"
    options = {"--images": "24", "--seed": "4", "--minutes": "0.1", "--log": str(log)}
    code = main(["chaos", "--event-grid", "--json", *(word for option in options.items() for word in option)])
    report = cast(dict[str, Any], json.loads(capsys.readouterr().out))
    assert code == 0, f"{report}\n{log.read_text()[-4000:]}"
    assert report["holds"] is True
    assert report["kills"] >= 1
    assert sum(report["faults"].values()) > 0
    assert report["images"] >= 12
    assert report["statuses"].keys() <= {"classified", "rejected"}
