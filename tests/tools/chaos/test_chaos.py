"""The parts of the chaos command: its plan, its proxy and its checker do what the report claims."""

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
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.stores import Stores
from storage.results.index_rows import index_rows
from storage.results.record import Image, IndexRow
from storage.results.serialization import to_entity
from storage.results.store import Results
from tools.__main__ import main
from tools.azurite.azurite import connection_string
from tools.chaos.checker import Checker
from tools.chaos.faults import Call, Fault, FaultKind, SeededFaults, ThrottledPeriods, is_throttled_at, refusing
from tools.chaos.images import MAX_BYTES, image_file
from tools.chaos.plan import Action, plan
from tools.chaos.proxy import fault_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite
    from tools.chaos.check_result import CheckResult

SHAPES = Path(__file__).resolve().parents[3] / "models" / "shapes"


class TestFaults:
    CALLS = [Call("blob", "GET", f"/account/incoming/{number}.jpg") for number in range(2000)]  # noqa: RUF012

    def test_do_not_depend_on_the_order_of_the_calls(self) -> None:
        one, other = SeededFaults(7, 0.05), SeededFaults(7, 0.05)
        forwards = {call: (one(call), one(call)) for call in self.CALLS}
        backwards = {call: (other(call), other(call)) for call in reversed(self.CALLS)}
        assert forwards == backwards
        assert any(first != second for first, second in forwards.values()), "a repeated call always has the same fault"

    def test_differ_with_the_seed(self) -> None:
        assert [SeededFaults(1, 0.5)(call) for call in self.CALLS] != [
            SeededFaults(2, 0.5)(call) for call in self.CALLS
        ]

    def test_have_the_requested_share_and_every_kind(self) -> None:
        faults = SeededFaults(3, 0.05)
        selected = [fault for call in self.CALLS if (fault := faults(call))]
        assert 0.035 < len(selected) / len(self.CALLS) < 0.065
        others = {FaultKind.HANG, FaultKind.LOCKED, FaultKind.DENIED}
        assert {fault.kind for fault in selected} == set(FaultKind) - others
        assert all(0 <= fault.delay_seconds <= 3 for fault in selected)
        assert sum(faults.selected.values()) == len(selected)

    def test_have_hangs_and_disturb_receives_until_the_work_may_end(self) -> None:
        receive = Call("queue", "GET", "/account/azure-webjobs-blobtrigger-chaos/messages")
        faults = SeededFaults(3, 0.05, hang_share=0.05)
        hangs = [fault for call in self.CALLS if (fault := faults(call)) and fault.kind is FaultKind.HANG]
        assert 0.035 < len(hangs) / len(self.CALLS) < 0.065
        assert all(5 <= fault.delay_seconds <= 25 for fault in hangs)
        assert any(faults(receive) for _ in range(200))
        faults.let_work_end()
        assert not any(faults(receive) for _ in range(200))
        others = [fault.kind for call in self.CALLS if (fault := faults(call))]
        assert others
        assert FaultKind.HANG not in others

    def test_throttle_one_service_at_a_time(self) -> None:
        services = ("blob", "queue", "table")
        throttled = [[service for service in services if is_throttled_at(1, at, service)] for at in range(2000)]
        assert max(map(len, throttled)) == 1
        assert {service for each in throttled for service in each} == set(services)
        assert 0.05 < sum(map(len, throttled)) / len(throttled) < 0.3

    def test_throttle_until_they_are_stopped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tools.chaos.faults.is_throttled_at", lambda *_: True)
        throttled = ThrottledPeriods(1, lambda _call: None)
        assert throttled(self.CALLS[0]) == Fault(FaultKind.BUSY)
        throttled.stop()
        assert throttled(self.CALLS[0]) is None
        assert throttled.calls == 1


def test_refusals_concern_the_reads_of_blobs_below_a_prefix() -> None:
    select = refusing({"/account/in/locked/": FaultKind.LOCKED}, lambda _call: Fault(FaultKind.BUSY))
    asked = [
        ("blob", "GET", "/account/in/locked/1.jpg"),
        ("blob", "HEAD", "/account/in/locked/1.jpg"),
        ("blob", "PUT", "/account/in/locked/1.jpg"),
        ("blob", "GET", "/account/in/1.jpg"),
    ]
    kinds = [fault.kind for call in asked if (fault := select(Call(*call)))]
    assert kinds == [FaultKind.LOCKED, FaultKind.LOCKED, FaultKind.BUSY, FaultKind.BUSY]


class TestPlan:
    def test_is_the_same_with_the_same_seed(self) -> None:
        assert plan(50, 1, 10) == plan(50, 1, 10)
        assert plan(50, 1, 10) != plan(50, 2, 10)

    def test_contains_every_action(self) -> None:
        steps = plan(400, 1, 10)
        done = Counter(step.action for step in steps)
        assert set(done) == set(Action)
        again = [step for step in steps if step.action is Action.UPLOAD and not step.content_seed.endswith("/0")]
        assert done[Action.UPLOAD] == 400 + len(again)
        assert again, "no deleted blob came back"

    def test_generates_images_and_broken_files(self) -> None:
        classifier = load(SHAPES)

        def kind(content: bytes) -> str:
            try:
                return classifier.classify(content).image.format if len(content) <= MAX_BYTES else "too large"
            except PermanentError as error:
                return str(error.reason)

        kinds = Counter(kind(image_file(f"1/{number}")) for number in range(300))
        assert set(kinds) >= {"jpeg", "png", "empty", "not_an_image", "truncated", "too large"}
        assert kinds["jpeg"] + kinds["png"] > 200


class OneFault:
    """Gives the next call of one method a fault; all others pass."""

    def __init__(self) -> None:
        self._waiting: dict[str, Fault] = {}
        self.seen: list[Call] = []

    def __call__(self, call: Call) -> Fault | None:
        self.seen.append(call)
        return self._waiting.pop(call.method, None)

    def for_the_next(self, method: str, fault: Fault) -> None:
        self._waiting[method] = fault

    def is_used(self) -> bool:
        return not self._waiting


@pytest.fixture(scope="module")
def fault() -> OneFault:
    return OneFault()


@pytest.fixture(scope="module")
def through(azurite: Azurite, fault: OneFault) -> Iterator[str]:
    """A connection string through the proxy."""
    with fault_proxy(azurite.ports, fault) as proxy_ports:
        yield connection_string(proxy_ports)


# By kind: the exception and the status that the caller gets, and whether the call was executed.
OUTCOMES: dict[FaultKind, tuple[type[AzureError] | None, int | None, bool]] = {
    FaultKind.BUSY: (HttpResponseError, 503, False),
    FaultKind.ERROR: (HttpResponseError, 500, False),
    FaultKind.ERROR_AFTER: (HttpResponseError, 500, True),
    FaultKind.DROPPED: (ServiceResponseError, None, False),
    FaultKind.DROPPED_AFTER: (ServiceResponseError, None, True),
    FaultKind.LATE_REQUEST: (None, None, True),
    FaultKind.LATE_RESPONSE: (None, None, True),
    FaultKind.HANG: (ServiceResponseError, None, False),
    FaultKind.LOCKED: (HttpResponseError, 409, False),
    FaultKind.DENIED: (HttpResponseError, 403, False),
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
    def test_applies_each_fault_to_a_write(
        self, service: str, kind: FaultKind, through: str, fault: OneFault, names: Names
    ) -> None:
        error, status, is_executed = OUTCOMES[kind]
        write, was_executed = writer(service, through, names)
        fault.for_the_next("PUT" if service == "blob" else "POST", Fault(kind, 0.05))
        if error is None:
            write()
        else:
            with pytest.raises(error) as raised:
                write()
            assert getattr(raised.value, "status_code", None) == status
            if status and service != "table":  # the table client does not expose the code here
                assert getattr(raised.value, "error_code", None), "the service's error code is missing"
        assert fault.is_used()
        assert was_executed() is is_executed

    def test_cuts_an_answer_short(self, through: str, fault: OneFault, names: Names) -> None:
        container = BlobServiceClient.from_connection_string(through, retry_total=0).create_container(names.container())
        container.upload_blob("a", b"a")
        fault.for_the_next("GET", Fault(FaultKind.TRUNCATED))
        with pytest.raises(IncompleteReadError):
            list(container.list_blobs())

    def test_names_each_call(self, through: str, fault: OneFault, names: Names) -> None:
        name = names.container("named")
        BlobServiceClient.from_connection_string(through).create_container(name)
        assert fault.seen[-1] == Call("blob", "PUT", f"/devstoreaccount1/{name}")


def writer(service: str, through: str, names: Names) -> tuple[Callable[[], object], Callable[[], bool]]:
    """Return a write through the proxy without retries, and a function that reports whether it was executed."""
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
    """Classified images, a checker for them, and methods that falsify their results."""

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
            ignored_prefix="copied/",
            refused={"locked/": "unreadable"},
        )
        for number, name in enumerate(self.NAMES):
            content = b"no image" if name == "broken.jpg" else bytes(MAX_BYTES + 1) if name == "large.jpg" else None
            self.put(name, content or image_file(f"good/{number}"))
            self.classify_blob(name)

    def put(self, name: str, content: bytes) -> None:
        self.source.upload_blob(name, content, overwrite=True)

    def classify_blob(self, name: str) -> None:
        classify_blob(self.stores, self._classifier, Image(self.incoming, name))

    def check(self) -> CheckResult:
        return self._checker.check(self.NAMES)

    def stored(self, name: str = "a.jpg") -> Any:
        stored = self.results.read_row(Image(self.incoming, name))
        assert stored is not None
        return stored

    def change_row(self, **columns: object) -> None:
        """Change columns of the row only."""
        keys = to_entity(self.stored().record)
        table = self.clients.tables.get_table_client(self.table)
        address = {name: keys[name] for name in ("PartitionKey", "RowKey")}
        table.update_entity({**address, **columns}, mode=UpdateMode.MERGE)

    def index_rows(self) -> tuple[IndexRow, ...]:
        return index_rows(self.stored().record)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load(SHAPES)


@pytest.fixture
def world(azurite: Azurite, names: Names, classifier: Classifier) -> Iterator[World]:
    made = World(azurite, names, classifier)
    yield made
    made.clients.close()


def changed(row: IndexRow, **columns: object) -> IndexRow:
    return IndexRow(row.keys, {**row.columns, **columns})


def at_another_time(world: World) -> IndexRow:
    record = world.stored().record
    return index_rows(replace(record, classified_at=record.classified_at - timedelta(days=1)))[0]


def duplicate_row(world: World) -> None:
    """A second row of the same image under another key."""
    entity = {**to_entity(world.stored().record), "RowKey": "another"}
    world.clients.tables.get_table_client(world.table).create_entity(entity)


def edited_sidecar(world: World) -> None:
    stored = world.results.read_sidecar(Image(world.incoming, "a.jpg"))
    assert stored is not None
    assert stored.record is not None
    world.results.write_sidecar(replace(stored.record, label="another"), stored)


def row_without_upload(world: World) -> None:
    world.results.write_row(replace(world.stored().record, blob_name="never.jpg"), None)


def row_of_copied_sidecar(world: World) -> None:
    world.put("copied/a.json", b"{}")
    world.results.write_row(replace(world.stored().record, blob_name="copied/a.json"), None)


def row_below_refused(world: World) -> None:
    world.put("locked/a.jpg", image_file("good/0"))
    world.classify_blob("locked/a.jpg")


FALSEHOODS: dict[str, tuple[Callable[[World], object], str]] = {
    "a deleted row": (
        lambda w: w.results.delete_row(Image(w.incoming, "a.jpg"), w.stored().etag),
        "missing row",
    ),
    "two rows": (duplicate_row, "duplicate row"),
    "a row of an earlier content": (lambda w: w.put("a.jpg", image_file("good/other")), "stale row"),
    "another label": (lambda w: w.change_row(label="another"), "wrong row"),
    "another score": (lambda w: w.change_row(score=0.123), "wrong row"),
    "another model": (lambda w: w.change_row(model_version="0123456789ab"), "wrong row"),
    "another length": (lambda w: w.change_row(content_length=EntityProperty(7, "Edm.Int32")), "wrong row"),
    "another status": (lambda w: w.change_row(status="rejected"), "wrong row"),
    "a reason of a classified image": (lambda w: w.change_row(reason="empty"), "wrong row"),
    "a row that a person edited": (
        lambda w: w.change_row(classified_at="yesterday", top_k="[" * 9000),
        "unreadable row",
    ),
    "an answer that cannot be read": (lambda w: w.change_row(top_k="[" * 9000), "sidecar differs"),
    "a readable image below the prefix of the refused": (row_below_refused, "wrong row"),
    "a failed row": (lambda w: w.change_row(status="failed"), "failed row"),
    "a deleted sidecar": (
        lambda w: w.clients.blobs.get_blob_client(w.container, "a.jpg.json").delete_blob(),
        "missing sidecar",
    ),
    "a changed sidecar": (edited_sidecar, "sidecar differs"),
    "a deleted index row": (lambda w: w.results.delete_index_row(w.index_rows()[1].keys), "missing index row"),
    "an outdated index row": (lambda w: w.results.write_index_row(at_another_time(w)), "false index row"),
    "an index row with another score": (
        lambda w: w.results.write_index_row(changed(w.index_rows()[0], score=0.123)),
        "index row differs",
    ),
    "an index row without a blob": (
        lambda w: w.results.write_index_row(
            IndexRow(RowKeys("status|classified|79738879", "1|2"), {**w.index_rows()[0].columns, "blob_name": "x"})
        ),
        "results without a blob",
    ),
    "a row of a blob that never existed": (row_without_upload, "results without a blob"),
    "a row of a copied sidecar": (row_of_copied_sidecar, "results without a blob"),
}


class TestChecker:
    def test_finds_nothing_wrong_with_correct_results(self, world: World) -> None:
        """It derives the same keys as the app for awkward names, from the documented rules."""
        result = world.check()
        assert result.violations == []
        assert (result.images, result.leftovers) == (len(World.NAMES), Counter())
        assert result.statuses == {"classified": 3, "rejected": 2}

    @pytest.mark.parametrize(("falsify", "kind"), FALSEHOODS.values(), ids=FALSEHOODS.keys())
    def test_finds(self, falsify: Callable[[World], object], kind: str, world: World) -> None:
        falsify(world)
        assert kind in world.check().kinds

    def test_lists_results_of_deleted_blobs_separately(self, world: World) -> None:
        world.source.delete_blob("a.jpg")
        world.source.delete_blob("broken.jpg")
        stored = world.stored("broken.jpg")
        world.results.delete_row(Image(world.incoming, "broken.jpg"), stored.etag)
        result = world.check()
        assert result.violations == []
        assert result.leftovers == {"deleted, with row": 1, "deleted, without row": 1}


def test_a_short_run_ends_with_one_correct_row_per_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without polling: after a kill, the scanner's lease would add half a minute."""
    log = tmp_path / "host.log"
    options = {"--images": "24", "--seed": "4", "--minutes": "0.1", "--log": str(log)}
    code = main(
        ["chaos", "--event-grid", "--decisions", "--json", *(word for option in options.items() for word in option)]
    )
    report = cast(dict[str, Any], json.loads(capsys.readouterr().out))
    assert code == 0, f"{report}\n{log.read_text()[-4000:]}"
    assert report["passed"] is True
    assert report["kills"] >= 1
    assert report["decisions"] >= 1
    assert sum(report["faults"].values()) > 0
    assert report["images"] >= 12
    assert report["statuses"].keys() <= {"classified", "rejected"}
