"""Our functions, indexed and invoked by the library that indexes and invokes them on Azure.

``azure-functions-runtime`` needs Python 3.13. Where that is the interpreter that runs these tests, its own packages are
used; where it is another one on this machine, a virtual environment for it is built once under ``.cache``; where there
is none, there is nothing to test with. ``worker_driver`` plays the host.
"""

from __future__ import annotations

import io
import json
import socket
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import BlobClient, BlobServiceClient
from PIL import Image as Picture

from storage.clients import connect
from storage.connection import Connection
from storage.results.record import Image, Record, Status
from storage.results.store import Results
from storage.settings import DEFAULTS
from tests.triggers import TRIGGERS, trigger
from tools.webjobs.worker import ROOT, Worker, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tools.azurite.azurite import Azurite

INCOMING = "worker-incoming"
RESULTS = "worker-results"
TABLE = "workerrows"


def settings(connection_string: str) -> dict[str, str]:
    return {
        **DEFAULTS,
        "AzureWebJobsStorage": connection_string,
        "ImageStorage": connection_string,
        "INCOMING_CONTAINER": INCOMING,
        "RESULTS_CONTAINER": RESULTS,
        "RESULTS_TABLE": TABLE,
    }


@pytest.fixture(scope="module")
def storage(azurite: Azurite) -> Iterator[Results]:
    """The results as the worker writes them; the incoming container exists."""
    BlobServiceClient.from_connection_string(azurite.connection_string).create_container(INCOMING)
    clients = connect(Connection("ImageStorage", connection_string=azurite.connection_string))
    yield Results(clients, table=TABLE, container=RESULTS)
    clients.close()


@pytest.fixture(scope="module")
def worker(
    worker_python: Path, azurite: Azurite, storage: Results, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    """A worker that was started for our app, its functions indexed."""
    log = tmp_path_factory.mktemp("worker") / "log"
    with running(worker_python, settings(azurite.connection_string), log) as started:
        answer = started.ask("start", directory=str(ROOT))
        assert answer["status"] == "Success", answer["trace"]
        started.capabilities = answer["capabilities"]
        yield started


def triggers(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The bindings that the worker reports to the host, by function."""
    return {name: trigger(function["bindings"]) for name, function in answer["functions"].items()}


def upload(azurite: Azurite, name: str, content: bytes) -> None:
    BlobClient.from_connection_string(azurite.connection_string, INCOMING, name).upload_blob(content, overwrite=True)


def row(storage: Results, name: str) -> Record | None:
    stored = storage.read_row(Image(INCOMING, name))
    return None if stored is None else stored.record


@pytest.fixture(scope="module")
def photo() -> bytes:
    file = io.BytesIO()
    Picture.effect_mandelbrot((160, 120), (-2, -1, 1, 1), 40).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def test_indexes_exactly_our_functions(worker: Worker) -> None:
    answer = worker.ask("index")
    assert answer["status"] == "Success"
    uploads = TRIGGERS["classify_uploaded"] | {"path": f"{INCOMING}/{{name}}"}
    assert triggers(answer) == TRIGGERS | {"classify_uploaded": uploads}
    for function in answer["functions"].values():
        assert (function["script"], function["language"]) == ("function_app.py", "python")


def test_indexes_with_every_default_where_only_the_two_accounts_are_set(worker_python: Path, tmp_path: Path) -> None:
    """The host replaces ``%NAME%`` in a binding and knows none of our defaults, so no binding may hold one."""
    accounts = dict.fromkeys(("AzureWebJobsStorage", "ImageStorage"), "UseDevelopmentStorage=true")
    with running(worker_python, accounts, tmp_path / "log") as started:
        assert started.ask("start", directory=str(ROOT))["status"] == "Success"
        answer = started.ask("index")
    assert triggers(answer) == TRIGGERS
    assert "%" not in json.dumps(answer)


def test_has_no_http_path(worker: Worker) -> None:
    assert (
        "http"
        not in json.dumps([function["bindings"] for function in worker.ask("index")["functions"].values()]).lower()
    )
    assert worker.capabilities
    assert "HttpUri" not in worker.capabilities, "the worker serves HTTP beside its channel to the host"


def test_binds_uploads_as_a_reference_and_not_as_bytes(worker: Worker) -> None:
    """This is the word that makes the host send a name where it would send the whole blob."""
    functions = worker.ask("index")["functions"]
    (binding,) = functions["classify_uploaded"]["bindings"]
    assert binding["properties"] == {"SupportsDeferredBinding": True}
    (other,) = functions["classify_requested"]["bindings"]
    assert not other.get("properties", {}).get("SupportsDeferredBinding", False)


def test_indexes_after_a_placeholder_learns_which_app_it_serves(
    worker_python: Path, azurite: Azurite, storage: Results, photo: bytes, tmp_path: Path
) -> None:
    """Flex Consumption keeps workers in store: the settings come with the second message, not with the process."""
    upload(azurite, "specialised.jpg", photo)
    (tmp_path / "placeholder").mkdir()
    with running(worker_python, {}, tmp_path / "log") as worker:
        answer = worker.ask(
            "specialize",
            placeholder=str(tmp_path / "placeholder"),
            directory=str(ROOT),
            environment=settings(azurite.connection_string),
        )
        assert answer["status"] == "Success", answer["trace"]
        ids = worker.ids()
        assert ids.keys() == TRIGGERS.keys()
        assert (
            worker.ask("upload", id=ids["classify_uploaded"], container=INCOMING, blob="specialised.jpg")["status"]
            == "Success"
        )
    assert row(storage, "specialised.jpg") is not None


def test_an_upload_becomes_a_row(worker: Worker, azurite: Azurite, storage: Results, photo: bytes) -> None:
    name = "trap 7/2026/Fuchs & Dachs #1 100%.jpg"
    upload(azurite, name, photo)
    answer = worker.ask("upload", id=worker.ids()["classify_uploaded"], container=INCOMING, blob=name)
    assert answer["status"] == "Success", answer["trace"]
    written = row(storage, name)
    assert written is not None
    assert (written.status, written.width, written.height) == (Status.CLASSIFIED, 160, 120)
    sidecar = storage.read_sidecar(Image(INCOMING, name))
    assert sidecar is not None
    assert sidecar.record == written


def test_a_corrupt_image_is_a_success_with_a_rejected_row(
    worker: Worker, azurite: Azurite, storage: Results, photo: bytes
) -> None:
    """A failure here would be four more deliveries of an image that will never be one."""
    upload(azurite, "cut.jpg", photo[: len(photo) // 2])
    answer = worker.ask("upload", id=worker.ids()["classify_uploaded"], container=INCOMING, blob="cut.jpg")
    assert answer["status"] == "Success", answer["trace"]
    written = row(storage, "cut.jpg")
    assert written is not None
    assert (written.status, written.reason) == (Status.REJECTED, "truncated")


def test_a_request_becomes_rows(worker: Worker, azurite: Azurite, storage: Results, photo: bytes) -> None:
    names = ["requested/ä.jpg", "requested/b.jpg"]
    for name in names:
        upload(azurite, name, photo)
    text = json.dumps({"container": INCOMING, "blobs": names})
    answer = worker.ask("message", id=worker.ids()["classify_requested"], text=text)
    assert answer["status"] == "Success", answer["trace"]
    assert [written.status for name in names if (written := row(storage, name))] == [Status.CLASSIFIED] * 2


def test_a_timer_reconciles(worker: Worker) -> None:
    answer = worker.ask("tick", id=worker.ids()["reconcile"])
    assert answer["status"] == "Success", answer["trace"]


def test_a_broken_model_fails_invocations_but_not_indexing(
    worker_python: Path, azurite: Azurite, storage: Results, photo: bytes, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.onnx").write_bytes(b"not a graph")
    upload(azurite, "unlucky.jpg", photo)
    environ = settings(azurite.connection_string) | {"MODEL_DIR": str(tmp_path / "model")}
    with running(worker_python, environ, tmp_path / "log") as worker:
        assert worker.ask("start", directory=str(ROOT))["status"] == "Success"
        ids = worker.ids()
        assert ids.keys() == TRIGGERS.keys()
        answer = worker.ask("upload", id=ids["classify_uploaded"], container=INCOMING, blob="unlucky.jpg")
        assert answer["status"] == "Failure"
        assert answer["message"].startswith("ModelError: ")
        assert "model.onnx" in answer["message"]
        assert worker.log.count("model_not_loaded") == 1
    assert row(storage, "unlucky.jpg") is None, "a broken model is no verdict on an image"


def test_storage_that_is_gone_fails_the_invocation(worker_python: Path, tmp_path: Path) -> None:
    """So the host delivers again. The port was free a moment ago: no service answers there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoints = "".join(f"{service}Endpoint=http://127.0.0.1:{port}/gone;" for service in ("Blob", "Queue", "Table"))
    environ = settings(f"DefaultEndpointsProtocol=http;AccountName=gone;AccountKey=c2VjcmV0LWtleQ==;{endpoints}")
    with running(worker_python, environ, tmp_path / "log") as worker:
        assert worker.ask("start", directory=str(ROOT))["status"] == "Success"
        answer = worker.ask("upload", id=worker.ids()["classify_uploaded"], container=INCOMING, blob="a.jpg")
        assert answer["status"] == "Failure"
        assert answer["message"].startswith("TransientError: ")
        assert "c2VjcmV0" not in json.dumps(answer) + worker.log


def test_wrong_settings_fail_indexing_with_one_sentence(worker_python: Path, tmp_path: Path) -> None:
    with running(worker_python, {"TOP_K": "many"}, tmp_path / "log") as worker:
        answer = worker.ask("start", directory=str(ROOT))
        assert answer["status"] == "Failure"
        assert answer["message"].startswith("SettingsError: ")
        assert "ImageStorage" in answer["message"]
        assert "TOP_K" in answer["message"]


def test_five_thousand_blob_names_leave_no_client_behind(worker: Worker) -> None:
    """Older workers kept a client for every name they had ever seen. Names of another container cost no storage."""
    some = {"id": worker.ids()["classify_uploaded"], "container": "somewhere-else"}
    before = worker.ask("uploads", first=0, count=500, **some)
    after = worker.ask("uploads", first=500, count=4500, **some)
    assert (before["succeeded"], after["succeeded"]) == (500, 4500)
    assert after["clients"] <= before["clients"] + 2
    assert after["resident_kib"] - before["resident_kib"] < 16 * 1024, "memory grew with the number of names"
