"""``model publish``, and how the app swaps to the published version while images arrive."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from inference import classifier
from storage.blob_folder import BlobFolder
from storage.blobs import SourceBlobs
from storage.clients import Clients, connect
from storage.connection import Connection
from storage.models.blob_models import BlobModel
from storage.models.cache import ModelCache
from storage.models.hot_swap import HotSwapModel
from storage.models.publish import publish
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.stores import Stores
from storage.results.record import Image, Record, Status
from storage.results.store import Results
from storage.settings import DEFAULTS
from tests.inference.model.model_folders import MODEL_JSON, RED, folder, graph, png
from tests.tools.model.model_command import LINES, hugging_face_folder, run_model
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite


@pytest.fixture
def clients(azurite: Azurite) -> Iterator[Clients]:
    made = connect(Connection("ImageStorage", azurite.connection_string))
    yield made
    made.close()


@pytest.fixture
def place(names: Names, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> str:
    """The target of the models; the environment names the account and nothing else."""
    for name in DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ImageStorage", azurite.connection_string)
    return f"{names.container('models')}/birds"


class TestCommand:
    def test_uploads_the_same_model(self, place: str, clients: Clients, tmp_path: Path) -> None:
        export = hugging_face_folder(tmp_path / "vit")
        run = run_model("publish", export, "--to", place, "--json")
        assert run.returncode == 0, run.stderr
        report = json.loads(run.stdout)
        blobs = BlobModel(clients.blobs, BlobFolder.parse(place), ModelCache(tmp_path / "cache"))
        fetched = blobs.current_version()
        assert fetched.version == report["blob_version"]
        identity = classifier.load(blobs.fetch(fetched)).model
        assert identity == classifier.load(export).model
        assert (report["model"], report["model_version"]) == (identity.name, identity.version)

    def test_the_target_is_the_setting(self, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        export = hugging_face_folder(tmp_path / "vit")
        assert run_model("publish", export).returncode == 2
        monkeypatch.setenv("MODEL_BLOB", place)
        run = run_model("publish", export)
        assert run.returncode == 0, run.stderr
        assert f"{place} is now vit version " in run.stdout

    def test_a_dry_run_prints_the_uploads(self, place: str, clients: Clients, tmp_path: Path) -> None:
        run = run_model("publish", hugging_face_folder(tmp_path / "vit"), "--to", place, "--dry-run")
        assert run.returncode == 0
        assert "would upload" in run.stdout
        assert not clients.blobs.get_container_client(place.partition("/")[0]).exists()

    @pytest.mark.parametrize("to", ["incoming/birds", "results/birds", "No/birds", "/birds"])
    def test_refuses_another_container(self, place: str, tmp_path: Path, to: str) -> None:
        run = run_model("publish", hugging_face_folder(tmp_path / "vit"), "--to", to)
        assert run.returncode == 2
        assert len(run.stderr.splitlines()) == 1

    def test_refuses_a_model_that_cannot_be_used(self, place: str, clients: Clients, tmp_path: Path) -> None:
        run = run_model("publish", folder(tmp_path / "m", graph(), labels_txt=LINES), "--to", place)
        assert run.returncode == 2
        assert not clients.blobs.get_container_client(place.partition("/")[0]).exists()


class App:
    """The app's pipeline on threads of its own, with a model in blob storage."""

    def __init__(self, clients: Clients, names: Names, place: str, cache: Path) -> None:
        self.incoming = names.container("incoming")
        self.container = clients.blobs.create_container(self.incoming)
        self.stores = Stores(
            SourceBlobs(clients.blobs, 1 << 20),
            Results(clients, table=names.table("rows"), container=names.container("results")),
        )
        blobs = BlobModel(clients.blobs, BlobFolder.parse(place), ModelCache(cache))
        self.models = HotSwapModel([blobs], partial(classifier.load, top_k=1), refresh_seconds=0.05)
        self.records: list[Record] = []
        self._stop = threading.Event()
        self._numbers = iter(range(10**9))
        self._lock = threading.Lock()

    def keep_uploading(self) -> None:
        """Upload and classify red images, one after the other, until stopped."""
        while not self._stop.is_set():
            with self._lock:
                image = Image(self.incoming, f"{next(self._numbers):04}.png")
            self.container.upload_blob(image.blob_name, png(RED))
            outcome = classify_blob(self.stores, self.models.current(), image)
            assert outcome.record is not None
            self.records.append(outcome.record)

    def under_load(self, act: Callable[[], None]) -> list[Record]:
        """Call ``act`` while four threads upload; return the rows afterwards."""
        with ThreadPoolExecutor(4) as pool:
            threads = [pool.submit(self.keep_uploading) for _ in range(4)]
            try:
                act()
            finally:
                self._stop.set()
            for thread in threads:
                thread.result()  # none failed
        rows = [self.stores.results.read_row(record.image) for record in self.records]
        return [row.record for row in rows if row is not None and row.record is not None]

    def wait_for(self, version: str) -> None:
        """Wait until this model has classified twenty images in a row."""
        until(lambda: [record.model_version for record in self.records[-20:]] == [version] * 20, f"model {version}")


@pytest.fixture
def app(clients: Clients, names: Names, place: str, tmp_path: Path) -> App:
    return App(clients, names, place, tmp_path / "cache")


def colours(path: Path, order: str) -> Path:
    model_json: dict[str, Any] = {
        **MODEL_JSON,
        "name": "colours",
        "input": {**MODEL_JSON["input"], "color_order": order},
    }
    return folder(path, graph(), labels_txt=LINES, model_json=model_json)


class TestSwap:
    def test_under_load_loses_no_image_and_each_row_names_its_model(self, app: App, place: str, tmp_path: Path) -> None:
        """The second model calls red blue: a row with the wrong model would have the wrong label."""
        one, other = colours(tmp_path / "one", "RGB"), colours(tmp_path / "other", "BGR")
        labels = {classifier.load(path).model.version: label for path, label in ((one, "red"), (other, "blue"))}
        first, second = labels
        assert run_model("publish", one, "--to", place).returncode == 0

        def act() -> None:
            app.wait_for(first)
            assert run_model("publish", other, "--to", place).returncode == 0
            app.wait_for(second)
            assert run_model("publish", one, "--to", place).returncode == 0
            app.wait_for(first)

        rows = app.under_load(act)
        assert len(rows) == len(app.records) >= 60
        assert {row.status for row in rows} == {Status.CLASSIFIED}
        assert {(row.model, row.model_version, row.label) for row in rows} == {
            ("colours", version, label) for version, label in labels.items()
        }

    def test_to_a_broken_version_is_refused_and_the_old_one_keeps_serving(
        self, app: App, place: str, clients: Clients, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        good = colours(tmp_path / "good", "RGB")
        assert run_model("publish", good, "--to", place).returncode == 0
        (tmp_path / "model.onnx").write_bytes(b"<!doctype html><html>404</html>")

        def refusals() -> list[str]:
            return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]

        def act() -> None:
            app.wait_for(classifier.load(good).model.version)
            publish(clients.blobs, BlobFolder.parse(place), {"model.onnx": tmp_path / "model.onnx"})
            until(refusals, "the refusal")
            seen = len(app.records)
            until(lambda: len(app.records) >= seen + 40, "40 more images")

        rows = app.under_load(act)
        assert {(row.status, row.label) for row in rows} == {(Status.CLASSIFIED, "red")}
        assert len(refusals()) == 1, "one error"
        assert "web page" in refusals()[0]

    def test_of_files_that_were_copied_by_hand(self, app: App, place: str, clients: Clients, tmp_path: Path) -> None:
        versions = []
        target = BlobFolder.parse(place)
        container = clients.blobs.get_container_client(target.container)
        container.create_container()

        def copy(order: str) -> None:
            path = colours(tmp_path / order, order)
            versions.append(classifier.load(path).model.version)
            for file in path.iterdir():
                container.upload_blob(target.blob(file.name), file.read_bytes(), overwrite=True)

        def act() -> None:
            app.wait_for(versions[0])
            copy("BGR")
            app.wait_for(versions[1])

        copy("RGB")
        rows = app.under_load(act)
        assert {(row.model_version, row.label) for row in rows} == {(versions[0], "red"), (versions[1], "blue")}

    def test_a_rejected_image_names_the_model_that_rejected_it(self, app: App, place: str, tmp_path: Path) -> None:
        assert run_model("publish", colours(tmp_path / "one", "RGB"), "--to", place).returncode == 0
        used = app.models.current()
        assert run_model("publish", colours(tmp_path / "other", "BGR"), "--to", place).returncode == 0
        until(lambda: app.models.current() is not used, "the other model")
        app.container.upload_blob("notes.jpg", b"no image")
        outcome = classify_blob(app.stores, used, Image(app.incoming, "notes.jpg"))
        assert outcome.record is not None
        assert (outcome.record.status, outcome.record.model_version) == (Status.REJECTED, used.model.version)
        assert used.model.version != app.models.current().model.version
