"""An outage of up to an hour costs no image and needs no person, at the delays that the app has by default.

The functions are the app's own, on a real Azurite behind a proxy that can refuse a part of it. The host is played in
its own time, so that hours pass in milliseconds: immediate tries of blobs, ten seconds between those of queue messages,
five of each, then the poison queue.
"""

from __future__ import annotations

import heapq
import io
import itertools
import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import azure.functions as func
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline.transport import HttpTransport
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobClient, BlobServiceClient
from PIL import Image as Picture

from inference.errors import ClassificationError, TransientError
from storage.pipeline.messages import Request
from tests.test_function_app import load
from tools.azurite.azurite import connection_string
from tools.chaos.faults import Call, Fault, FaultKind
from tools.chaos.proxy import fault_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite

SHAPES = Path(__file__).resolve().parent.parent / "models" / "shapes"
HOUR = 3600
TRIES = 5  # host.json: poisonBlobThreshold and maxDequeueCount
BETWEEN_TRIES = 10  # host.json: queues.visibilityTimeout, in seconds


@dataclass
class Outage:
    """A part of storage that does not answer from one moment to another, in the host's seconds."""

    begins: float = 0
    ends: float = 0
    concerns: Callable[[Call], bool] = lambda _call: False
    now: float = 0

    @property
    def is_on(self) -> bool:
        return self.begins <= self.now < self.ends

    def __call__(self, call: Call) -> Fault | None:
        return Fault(FaultKind.BUSY) if self.is_on and self.concerns(call) else None


@dataclass(order=True)
class Delivery:
    at: float
    order: int
    function: str = field(compare=False)
    body: bytes = field(compare=False)
    dequeue_count: int = field(compare=False, default=1)


class Host:
    """Delivers messages as the Functions host does, in a time of its own."""

    def __init__(self, app: ModuleType, incoming: str, connection: str, outage: Outage) -> None:
        self.incoming, self.outage = incoming, outage
        self.attempts: list[int] = []
        self.left: list[str] = []
        self.deadly = ""  # an image that ends the worker
        self._app, self._connection = app, connection
        self._order = itertools.count()
        self._due: list[Delivery] = []
        app.retries = replace(app.retries, queue=self)  # type: ignore[attr-defined]

    def send(self, request: Request, *, delay_seconds: int = 0) -> None:
        """The app's own queue: what it sends comes back after its delay, through JSON."""
        self.attempts.append(request.attempt)
        self.expect("classify_requested", request.to_json().encode(), after=delay_seconds)

    def uploaded(self, *names: str) -> None:
        for name in names:
            fields = {"Type": "BlobTrigger", "FunctionId": "Host.Functions.classify_uploaded"}
            event = {**fields, "ContainerName": self.incoming, "BlobName": name, "ETag": '"0x1"'}
            self.expect("classify_uploaded", json.dumps(event).encode())

    def requested(self, *names: str) -> None:
        self.expect("classify_requested", Request(self.incoming, names).to_json().encode())

    def expect(self, function: str, body: bytes, *, after: float = 0, dequeue_count: int = 1) -> None:
        heapq.heappush(self._due, Delivery(self.outage.now + after, next(self._order), function, body, dequeue_count))

    def run(self) -> None:
        """Deliver until nothing is left to deliver."""
        while self._due:
            delivery = heapq.heappop(self._due)
            self.outage.now = max(self.outage.now, delivery.at)
            try:
                self._invoke(delivery)
            except ClassificationError:
                self._failed(delivery)

    def _invoke(self, delivery: Delivery) -> None:
        if delivery.function == "classify_requested" and self.deadly in Request.from_body(delivery.body).blobs:
            raise TransientError("The worker died.")
        if delivery.function == "classify_uploaded":
            name = json.loads(delivery.body)["BlobName"]
            argument: Any = BlobClient.from_connection_string(self._connection, self.incoming, name)
        else:
            argument = func.QueueMessage(body=delivery.body)
        getattr(self._app, delivery.function)(argument)

    def _failed(self, delivery: Delivery) -> None:
        function, body, count = delivery.function, delivery.body, delivery.dequeue_count
        if count < TRIES:
            pause = 0 if function == "classify_uploaded" else BETWEEN_TRIES
            self.expect(function, body, after=pause, dequeue_count=count + 1)
        elif function in POISON:
            self.expect(POISON[function], body)
        else:
            self.left.append(function)  # on the poison queue of a poison queue: for a person


POISON = {"classify_uploaded": "recover_poisoned", "classify_requested": "record_abandoned"}


@dataclass
class Bench:
    """The app before a host of its own time, and hands that reach storage past the outage."""

    app: ModuleType
    host: Host
    outage: Outage
    settings: dict[str, str]
    direct: str

    def upload(self, *names: str) -> None:
        container = BlobServiceClient.from_connection_string(self.direct).get_container_client(self.host.incoming)
        file = io.BytesIO()
        Picture.effect_mandelbrot((160, 120), (-2, -1, 1, 1), 40).convert("RGB").save(file, "JPEG")
        for name in names:
            container.upload_blob(name, file.getvalue(), overwrite=True)

    def rows(self) -> dict[str, Any]:
        table = TableServiceClient.from_connection_string(self.direct).get_table_client(self.settings["RESULTS_TABLE"])
        try:
            return {str(row["blob_name"]): row for row in table.list_entities()}
        except ResourceNotFoundError:
            return {}

    def statuses(self) -> dict[str, str]:
        return {name: row["status"] for name, row in self.rows().items()}


@pytest.fixture
def outage() -> Outage:
    return Outage()


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "shapes"
    shutil.copytree(SHAPES, folder)
    return folder


@pytest.fixture
def bench(
    azurite: Azurite, names: Names, outage: Outage, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    # The SDK's own retries would take seconds of real time and are not tested here.
    monkeypatch.setattr(HttpTransport, "sleep", lambda *_: None)
    with fault_proxy(azurite.ports, outage) as fronts:
        settings = {
            "ImageStorage": connection_string(fronts),
            "INCOMING_CONTAINER": names.container("incoming"),
            "RESULTS_CONTAINER": names.container("results"),
            "RESULTS_TABLE": names.table("rows"),
            "MODEL_DIR": str(model_dir),
        }
        app = load(monkeypatch, **settings)
        blobs = BlobServiceClient.from_connection_string(azurite.connection_string)
        for container in ("INCOMING_CONTAINER", "RESULTS_CONTAINER"):
            blobs.create_container(settings[container])
        host = Host(app, settings["INCOMING_CONTAINER"], settings["ImageStorage"], outage)
        yield Bench(app, host, outage, settings, azurite.connection_string)
        app.clients.close()


def _part(bench: Bench, part: str) -> Callable[[Call], bool]:
    """Whether a call concerns the part of storage that is out."""
    incoming, results, table = (
        bench.settings[name] for name in ("INCOMING_CONTAINER", "RESULTS_CONTAINER", "RESULTS_TABLE")
    )
    return {
        "the table": lambda call: call.service == "table",
        "the index": lambda call: f"/{table}index" in call.path,
        "the source container": lambda call: f"/{incoming}" in call.path and call.service == "blob",
        "the results container": lambda call: f"/{results}" in call.path,
        "all blobs": lambda call: call.service == "blob",
        "blobs and tables": lambda call: call.service in ("blob", "table"),
    }[part]


PARTS = ("the table", "the index", "the source container", "the results container", "all blobs", "blobs and tables")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("begins", [0, -1800], ids=["from the first try on", "half over"])
def test_an_hour_without(part: str, begins: int, bench: Bench) -> None:
    """Three uploads, and a request for three more: each ends classified, none ever failed, without a person's help."""
    bench.upload("a.jpg", "b #1.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg")
    bench.outage.begins, bench.outage.ends = begins, begins + HOUR
    bench.outage.concerns = _part(bench, part)
    bench.host.uploaded("a.jpg", "b #1.jpg", "c.jpg")
    bench.host.requested("d.jpg", "e.jpg", "f.jpg")
    bench.host.run()
    assert bench.statuses() == dict.fromkeys(("a.jpg", "b #1.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg"), "classified")
    assert bench.host.left == []
    assert max(bench.host.attempts) >= 3, "there was no outage"
    assert bench.outage.now < 2 * HOUR


def test_an_hour_without_the_model(bench: Bench, model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing model can be deployed within an hour: images wait, and none is rejected or failed."""
    away = model_dir.with_name("away")
    model_dir.rename(away)
    models = bench.app.HotSwapModel.from_settings(bench.app.settings, bench.app.clients.blobs, bench.app.load)

    class Deployed:
        """The folder comes back when the outage ends."""

        def current(self) -> object:
            if not bench.outage.is_on and away.exists():
                away.rename(model_dir)
            return models.current()

    monkeypatch.setattr(bench.app, "models", Deployed())
    bench.upload("a.jpg", "b.jpg")
    bench.outage.ends = HOUR
    bench.host.uploaded("a.jpg")
    bench.host.requested("b.jpg")
    bench.host.run()
    assert bench.statuses() == {"a.jpg": "classified", "b.jpg": "classified"}
    assert max(bench.host.attempts) == 5
    assert bench.host.left == []


def test_each_delay_is_waited_out_and_the_count_travels_in_the_message(bench: Bench) -> None:
    bench.upload("a.jpg")
    bench.outage.ends = 3 * HOUR
    bench.outage.concerns = lambda call: call.method == "GET" and f"/{bench.host.incoming}/" in call.path
    bench.host.uploaded("a.jpg")
    bench.host.run()
    assert bench.host.attempts == [1, 2, 3, 4, 5]
    assert bench.outage.now == 60 + 300 + 900 + 1800 + 3600
    assert bench.statuses() == {"a.jpg": "failed"}


def test_after_the_last_delay_a_failed_row_carries_the_last_error(bench: Bench) -> None:
    """All but the source can be written: the row says what happened, and nothing is tried again for ever."""
    bench.upload("a.jpg", "b.jpg")
    bench.outage.ends = 3 * HOUR
    # Only reading the bytes fails: the ETag can still be read, or the row could not name the content that failed.
    bench.outage.concerns = lambda call: call.method == "GET" and f"/{bench.host.incoming}/a.jpg" in call.path
    bench.host.uploaded("a.jpg", "b.jpg")
    bench.host.requested("a.jpg")
    bench.host.run()
    assert bench.statuses() == {"a.jpg": "failed", "b.jpg": "classified"}
    row = bench.rows()["a.jpg"]
    assert row["reason"] == "gave_up"
    assert row["detail"] == f"reading {bench.host.incoming}/a.jpg failed for now (503 ServerBusy)."
    assert "label" not in row
    bench.outage.ends = 0
    bench.host.requested("a.jpg")
    bench.host.run()
    assert bench.statuses()["a.jpg"] == "classified", "a failed row must not stand in the way of another try"


def test_an_image_that_the_host_gave_up_gets_a_failed_row_unless_it_has_a_result(bench: Bench) -> None:
    """The worker died each time and raised no error, so only the poison queue shows it."""
    bench.upload("done.jpg", "deadly.jpg")
    bench.host.uploaded("done.jpg")
    bench.host.run()
    for name in ("done.jpg", "deadly.jpg", "gone.jpg"):
        bench.host.expect("record_abandoned", Request(bench.host.incoming, (name,), attempt=2).to_json().encode())
    bench.host.run()
    assert bench.statuses() == {"done.jpg": "classified", "deadly.jpg": "failed"}
    assert "crashed" in bench.rows()["deadly.jpg"]["detail"]


def test_the_neighbours_of_a_deadly_image_are_classified(bench: Bench) -> None:
    """Only one image of a message ends the worker, so the message is split. The attempts of each image stay."""
    names = [f"{number}.jpg" for number in range(4)]
    bench.upload(*names)
    bench.host.deadly = "2.jpg"
    bench.host.expect("classify_requested", Request(bench.host.incoming, tuple(names), attempt=3).to_json().encode())
    bench.host.run()
    assert bench.statuses() == {name: "failed" if name == "2.jpg" else "classified" for name in names}
    assert bench.host.left == []


@pytest.mark.parametrize("part", ["the table", "the source container", "blobs and tables"])
def test_a_day_without(part: str, bench: Bench) -> None:
    """Beyond all delays, and nowhere to write that it failed: it is tried once an hour until a row can be written."""
    bench.upload("a.jpg", "b.jpg")
    bench.outage.ends, bench.outage.concerns = 24 * HOUR, _part(bench, part)
    bench.host.uploaded("a.jpg")
    bench.host.expect("record_abandoned", Request(bench.host.incoming, ("b.jpg",)).to_json().encode())
    bench.host.run()
    assert bench.statuses() == {"a.jpg": "classified", "b.jpg": "classified"}
    assert bench.host.left == []
    assert bench.outage.now >= 24 * HOUR
