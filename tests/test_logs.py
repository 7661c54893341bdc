"""What the app logs: one line for each image that a person can find, and never a secret, also when a call fails.

The functions are called as the host calls them, through a proxy that makes every kind of trouble, with a connection
string that holds a SAS or a key. Everything that can be read afterwards is searched: each log record of every logger
at DEBUG, the printed output, and each exception as a host prints it, with its causes.
"""

from __future__ import annotations

import io
import json
import logging
import re
import shlex
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

import azure.functions as func
import pytest
from azure.core.pipeline.transport import HttpTransport
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobClient, BlobServiceClient, generate_account_sas
from PIL import Image as Picture

from inference.errors import ClassificationError
from tests.test_function_app import load
from tools.azurite.azurite import ACCOUNT, ACCOUNT_KEY, connection_string
from tools.chaos.faults import Call, Fault, FaultKind
from tools.chaos.proxy import fault_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite, Ports

SHAPES = Path(__file__).resolve().parent.parent / "models" / "shapes"


@dataclass
class Trouble:
    """The fault that the proxy gives to some calls."""

    fault: FaultKind | None = None
    concerns: Callable[[Call], bool] = lambda _call: True

    def __call__(self, call: Call) -> Fault | None:
        return Fault(self.fault) if self.fault and self.concerns(call) else None


@dataclass
class Ear:
    """Captured logs and output."""

    logged: pytest.LogCaptureFixture
    printed: pytest.CaptureFixture[str]


@dataclass
class Bench:
    """The app, hands to upload past the trouble, and an ear for all that can be read afterwards."""

    app: ModuleType
    trouble: Trouble
    settings: dict[str, str]
    direct: str
    ear: Ear
    raised: list[BaseException] = field(default_factory=list)

    def upload(self, name: str, content: bytes) -> BlobClient:
        incoming = self.settings["INCOMING_CONTAINER"]
        BlobClient.from_connection_string(self.direct, incoming, name).upload_blob(content, overwrite=True)
        return BlobClient.from_connection_string(self.settings["ImageStorage"], incoming, name)

    def message(self, *blobs: str, **more: object) -> func.QueueMessage:
        document = {"container": self.settings["INCOMING_CONTAINER"], "blobs": blobs, **more}
        return func.QueueMessage(body=json.dumps(document).encode())

    def call(self, function: str, argument: object) -> None:
        """Call a function as the host does: what it raises is printed, causes and all."""
        try:
            getattr(self.app, function)(argument)
        except ClassificationError as error:
            self.raised.append(error)

    def lines(self, event: str) -> list[str]:
        return [line for line in self.ear.logged.messages if line.startswith(event)]

    def readable(self) -> str:
        """Everything that can be read afterwards."""
        formatter = logging.Formatter()
        records = [
            formatter.format(record) for when in ("setup", "call") for record in self.ear.logged.get_records(when)
        ]
        traces = ["".join(traceback.format_exception(error)) for error in self.raised]
        shown = [repr(vars(self.app)[name]) for name in ("settings", "clients", "stores", "queue", "retries")]
        return "\n".join([*records, *traces, *shown, *self.ear.printed.readouterr()])


def with_key(ports: Ports) -> tuple[str, list[str]]:
    return connection_string(ports), [ACCOUNT_KEY]


def with_sas(ports: Ports) -> tuple[str, list[str]]:
    """A SAS for blobs, queues and tables, and the forms in which its signature can appear."""
    expiry = datetime.now(UTC) + timedelta(hours=1)
    sas = generate_account_sas(ACCOUNT, ACCOUNT_KEY, "sco", "rwdlacup", expiry, services="bqt")
    (signature,) = parse_qs(sas)["sig"]
    endpoints = ";".join(
        f"{service.capitalize()}Endpoint=http://127.0.0.1:{port}/{ACCOUNT}" for service, port in ports._asdict().items()
    )
    return f"{endpoints};SharedAccessSignature={sas}", [signature, quote(signature), quote(signature, safe="")]


@contextmanager
def benched(
    azurite: Azurite,
    names: Names,
    monkeypatch: pytest.MonkeyPatch,
    ear: Ear,
    connect: Callable[[Ports], tuple[str, list[str]]],
) -> Iterator[tuple[Bench, list[str]]]:
    monkeypatch.setattr(HttpTransport, "sleep", lambda *_: None)
    trouble = Trouble()
    with fault_proxy(azurite.ports, trouble) as fronts:
        storage, secrets = connect(fronts)
        settings = {
            "ImageStorage": storage,
            "INCOMING_CONTAINER": names.container("incoming"),
            "RESULTS_CONTAINER": names.container("results"),
            "RESULTS_TABLE": names.table("rows"),
            "MODEL_DIR": str(SHAPES),
            "RETRY_DELAYS_SECONDS": "600",
        }
        app = load(monkeypatch, **settings)
        blobs = BlobServiceClient.from_connection_string(azurite.connection_string)
        tables = TableServiceClient.from_connection_string(azurite.connection_string)
        blobs.create_container(settings["INCOMING_CONTAINER"])
        blobs.create_container(settings["RESULTS_CONTAINER"])
        for table in ("", "index"):
            tables.create_table(settings["RESULTS_TABLE"] + table)
        yield Bench(app, trouble, settings, azurite.connection_string, ear), secrets
        app.clients.close()


@pytest.fixture
def ear(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Ear:
    caplog.set_level(logging.DEBUG)
    return Ear(caplog, capsys)


@pytest.fixture
def bench(
    azurite: Azurite,
    names: Names,
    monkeypatch: pytest.MonkeyPatch,
    ear: Ear,
) -> Iterator[Bench]:
    with benched(azurite, names, monkeypatch, ear, with_key) as (made, _):
        yield made


@pytest.fixture(params=[with_sas, with_key], ids=["a SAS", "a key"])
def secret(
    request: pytest.FixtureRequest,
    azurite: Azurite,
    names: Names,
    monkeypatch: pytest.MonkeyPatch,
    ear: Ear,
) -> Iterator[tuple[Bench, list[str]]]:
    with benched(azurite, names, monkeypatch, ear, request.param) as made:
        yield made


@pytest.fixture(scope="module")
def photo() -> bytes:
    file = io.BytesIO()
    Picture.effect_mandelbrot((160, 120), (-2, -1, 1, 1), 40).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def everything(bench: Bench, photo: bytes) -> None:
    """Each function once, in each of the ways in which its work can end."""
    for name, content in (("a.jpg", photo), ("a.jpg", photo[::-1]), ("empty.jpg", b"")):
        bench.call("classify_uploaded", bench.upload(name, content))
    incoming = bench.settings["INCOMING_CONTAINER"]
    bench.call("classify_requested", bench.message("a.jpg", "gone.jpg"))
    bench.call("classify_requested", bench.message("a.jpg", "empty.jpg", attempt=1))
    poison = {"ContainerName": incoming, "BlobName": "a.jpg"}
    bench.call("recover_poisoned", func.QueueMessage(body=json.dumps(poison).encode()))
    bench.call("record_abandoned", bench.message("a.jpg"))
    bench.call("reconcile", None)


class TestSecrets:
    def test_are_nowhere_when_all_calls_succeed(self, secret: tuple[Bench, list[str]], photo: bytes) -> None:
        bench, secrets = secret
        everything(bench, photo)
        assert bench.raised == []
        assert len(bench.lines("image_finished")) >= 7
        text = bench.readable()
        assert [one for one in secrets if one in text] == []

    @pytest.mark.parametrize("fault", FaultKind, ids=str)
    def test_are_nowhere_when_calls_fail(self, fault: FaultKind, secret: tuple[Bench, list[str]], photo: bytes) -> None:
        bench, secrets = secret
        bench.trouble.fault = fault
        everything(bench, photo)
        text = bench.readable()
        assert bench.raised or fault in (FaultKind.LATE_REQUEST, FaultKind.LATE_RESPONSE, FaultKind.TRUNCATED)
        assert [one for one in secrets if one in text] == []
        assert "sig=" not in text

    def test_are_in_the_errors_that_the_app_hides(
        self, azurite: Azurite, names: Names, monkeypatch: pytest.MonkeyPatch, photo: bytes
    ) -> None:
        """Were the SDK's own error a cause of ours, the search above would find the signature in it."""
        monkeypatch.setattr(HttpTransport, "sleep", lambda *_: None)
        closed = azurite.ports._replace(blob=1, table=1)
        storage, secrets = with_sas(closed)
        app = load(monkeypatch, ImageStorage=storage, MODEL_DIR=str(SHAPES))
        with pytest.raises(ClassificationError) as raised:
            app.classify_uploaded(BlobClient.from_connection_string(storage, "incoming", "a.jpg"))
        hidden = raised.value.__context__
        assert any(one in str(hidden) for one in secrets)
        printed = "".join(traceback.format_exception(raised.value))
        assert "failed for now (ServiceRequestError)" in printed
        assert [one for one in secrets if one in printed] == []


def fields(line: str) -> dict[str, str]:
    """A line's fields as a shell script would cut them: the event under an empty name, then ``key=value``."""
    event, *words = re.findall(r'[^\s="]+(?:=(?:"(?:\\.|[^"\\])*"|\S*))?', line)
    return {"": event} | dict(word.split("=", 1) for word in words)


class TestLines:
    NAME = 'trap 7/Füchse & "Dachs" #1 100%=.jpg'

    def test_one_for_each_delivery_says_all_that_is_known(self, bench: Bench, photo: bytes) -> None:
        bench.call("classify_uploaded", bench.upload(self.NAME, photo))
        (line,) = bench.lines("image_")
        values = fields(line)
        assert list(values) == [
            *(
                "",
                "image",
                "outcome",
                "status",
                "label",
                "score",
                "model",
                "model_version",
                "attempt",
                "queue_delay_ms",
            ),
            *("read_ms", "decode_ms", "inference_ms", "write_ms", "total_ms"),
        ]
        assert json.loads(values["image"]) == f"{bench.settings['INCOMING_CONTAINER']}/{self.NAME}"
        assert (values[""], values["outcome"], values["status"], values["attempt"]) == (
            *("image_finished", "committed", "classified", "0"),
        )
        assert all(float(value) >= 0 for name, value in values.items() if name.endswith("_ms") or name == "score")
        assert shlex.split(f"grep {shlex.quote(values['image'])}")

    def test_the_same_words_find_an_image_in_every_line_about_it(self, bench: Bench, photo: bytes) -> None:
        bench.upload(self.NAME, photo)
        name = f"image={json.dumps(bench.settings['INCOMING_CONTAINER'] + '/' + self.NAME)} "
        bench.trouble.fault = FaultKind.BUSY
        bench.trouble.concerns = lambda call: call.method == "GET" and "/trap" in call.path and call.service == "blob"
        bench.call("classify_requested", bench.message(self.NAME))
        bench.call("classify_requested", bench.message(self.NAME, attempt=1))
        bench.trouble.fault = None
        bench.call("classify_requested", bench.message(self.NAME, attempt=1))
        about = [line.split()[0] for line in bench.ear.logged.messages if name in line]
        assert about == [
            *("image_attempt_failed", "image_retry_queued", "image_attempt_failed", "image_failed", "image_finished")
        ]
        assert [line for line in bench.ear.logged.messages if line.startswith("image_") and name not in line] == []

    def test_failures_name_the_attempt_the_cause_and_what_happens_next(self, bench: Bench, photo: bytes) -> None:
        bench.upload("a.jpg", photo)
        bench.trouble.fault = FaultKind.BUSY
        bench.trouble.concerns = lambda call: call.method == "GET" and call.path.endswith("/a.jpg")
        bench.call("classify_requested", bench.message("a.jpg"))
        bench.call("classify_requested", bench.message("a.jpg", attempt=1))
        first, delayed, _, failed = bench.lines("image_")
        assert " attempt=0 " in first
        assert "failed for now (503 ServerBusy)" in first
        assert delayed.endswith(" attempt=1 seconds=600")
        assert failed.endswith(" do=redrive")
        levels = {record.getMessage().split()[0]: record.levelname for record in bench.ear.logged.records}
        assert (levels["image_retry_queued"], levels["image_failed"]) == ("WARNING", "ERROR")

    def test_what_storage_refuses_says_what_to_look_at(
        self, bench: Bench, photo: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A key that was rotated: a person must act, and the sentence says where."""
        blob = bench.upload("a.jpg", photo)
        wrong = bench.settings["ImageStorage"].replace(ACCOUNT_KEY, f"AAAA{ACCOUNT_KEY[4:]}")
        app = load(monkeypatch, **{**bench.settings, "ImageStorage": wrong})
        with pytest.raises(ClassificationError, match="check the connection settings and the roles"):
            app.classify_uploaded(blob)
