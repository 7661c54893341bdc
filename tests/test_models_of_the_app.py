"""The app with its models in blob storage, and with several: the composition root does what its parts promise."""

from __future__ import annotations

import itertools
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from inference.errors import ModelError
from storage.blob_folder import BlobFolder
from storage.clients import connect
from storage.connection import Connection
from storage.models.publish import publish
from storage.results.record import Record, Status
from tests.test_function_app import SHAPES, Bench, load, photo
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite

__all__ = ["photo"]  # a fixture


class Shelf:
    """A place for models in the app's account."""

    def __init__(self, connection: str, folder: BlobFolder) -> None:
        self.clients = connect(Connection("ImageStorage", connection))
        self.folder = folder

    def publish(self, place: Path) -> str:
        files = {path.name: path for path in place.iterdir()}
        return publish(self.clients.blobs, self.folder, files).version


@pytest.fixture
def shelf(azurite: Azurite, names: Names) -> Iterator[Shelf]:
    made = Shelf(azurite.connection_string, BlobFolder(names.container("models"), "shapes"))
    yield made
    made.clients.close()


@pytest.fixture
def settings(azurite: Azurite, names: Names, shelf: Shelf, tmp_path: Path) -> dict[str, str]:
    return {
        "ImageStorage": azurite.connection_string,
        "INCOMING_CONTAINER": names.container("incoming"),
        "RESULTS_CONTAINER": names.container("results"),
        "RESULTS_TABLE": names.table("rows"),
        "MODEL_BLOB": str(shelf.folder),
        "MODEL_CACHE_DIR": str(tmp_path / "cache"),
        "MODEL_REFRESH_SECONDS": "1",
    }


def started(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.delenv("MODEL_DIR", raising=False)
    made = Bench(load(monkeypatch, **settings), settings["INCOMING_CONTAINER"], settings["ImageStorage"])
    made.app.clients.blobs.create_container(made.incoming)
    return made


def test_a_model_in_blob_storage_classifies_and_is_replaced_while_the_app_runs(
    settings: dict[str, str], shelf: Shelf, monkeypatch: pytest.MonkeyPatch, photo: bytes, tmp_path: Path
) -> None:
    shelf.publish(SHAPES)
    bench = started(settings, monkeypatch)
    bench.app.classify_uploaded(bench.upload("0.jpg", photo))
    first = bench.row("0.jpg")
    assert first is not None
    assert (first.status, first.model) == (Status.CLASSIFIED, "shapes")

    copy = shutil.copytree(SHAPES, tmp_path / "copy")
    document = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(
        json.dumps(document | {"name": "shapes-squinting", "input": document["input"] | {"interpolation": "nearest"}})
    )
    shelf.publish(copy)
    numbers = itertools.count(1)

    def row_of_the_new_model() -> Record | None:
        name = f"{next(numbers)}.jpg"
        bench.app.classify_uploaded(bench.upload(name, photo))
        row = bench.row(name)
        assert row is not None
        assert row.status is Status.CLASSIFIED
        assert (row.model == first.model) is (row.model_version == first.model_version)
        return row if row.model == "shapes-squinting" else None

    until(row_of_the_new_model, "a row of the new model")
    bench.app.clients.close()


def test_an_app_that_has_not_noticed_a_new_model_keeps_its_results(
    settings: dict[str, str], shelf: Shelf, monkeypatch: pytest.MonkeyPatch, photo: bytes, tmp_path: Path
) -> None:
    """Two workers with the wiring of the app: the first has the old model when the second has the new one."""
    settings["MODEL_REFRESH_SECONDS"] = "3600"
    shelf.publish(SHAPES)
    stale = started(settings, monkeypatch)
    blob = stale.upload("0.jpg", photo)
    stale.app.classify_uploaded(blob)
    copy = shutil.copytree(SHAPES, tmp_path / "copy")
    document = json.loads((copy / "model.json").read_text())
    changed = {"name": "shapes-squinting", "input": document["input"] | {"interpolation": "nearest"}}
    (copy / "model.json").write_text(json.dumps(document | changed))
    shelf.publish(copy)
    fresh = load(monkeypatch, **settings)
    fresh.classify_uploaded(blob)
    for _ in range(2):
        row = stale.row("0.jpg")
        assert row is not None
        assert row.model == "shapes-squinting"
        stale.app.classify_uploaded(blob)
    until(lambda: stale.app.model().model.name == "shapes-squinting")
    fresh.clients.close()
    stale.app.clients.close()


def test_a_model_that_is_not_there_yet_fails_no_import_and_serves_when_it_comes(
    settings: dict[str, str], shelf: Shelf, monkeypatch: pytest.MonkeyPatch, photo: bytes
) -> None:
    bench = started(settings, monkeypatch)
    blob = bench.upload("a.jpg", photo)
    with pytest.raises(ModelError, match="model publish"):
        bench.app.classify_uploaded(blob)
    assert bench.row("a.jpg") is None
    shelf.publish(SHAPES)
    bench.app.classify_uploaded(blob)
    row = bench.row("a.jpg")
    assert row is not None
    assert row.status is Status.CLASSIFIED
    bench.app.clients.close()


def test_several_models_answer_in_each_row(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, photo: bytes, tmp_path: Path
) -> None:
    twin = shutil.copytree(SHAPES, tmp_path / "twin")
    document = json.loads((twin / "model.json").read_text())
    (twin / "model.json").write_text(json.dumps(document | {"name": "twin"}))
    del settings["MODEL_BLOB"]
    bench = started({**settings, "MODEL_DIR": f"{SHAPES};{twin}"}, monkeypatch)
    bench.app.classify_uploaded(bench.upload("a.jpg", photo))
    row = bench.row("a.jpg")
    assert row is not None
    assert row.model == "shapes+twin"
    assert [answer.model.name for answer in row.answers] == ["shapes", "twin"]
    assert {answer.label for answer in row.answers} == {row.label}
    bench.app.clients.close()


def test_a_decision_in_a_blob_is_followed_while_the_app_runs_and_a_broken_one_is_not(
    settings: dict[str, str],
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
    photo: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The model is a folder of this machine, the decision a blob."""
    del settings["MODEL_BLOB"]
    blob = shelf.clients.blobs.get_blob_client(shelf.folder.container, "rules/decision.json")
    shelf.clients.blobs.create_container(shelf.folder.container)
    settings |= {"DECISION_BLOB": f"{shelf.folder.container}/rules/decision.json", "MIN_SCORE": "0.9"}
    numbers = itertools.count()

    def decided() -> Record:
        name = f"a/{next(numbers)}.jpg"
        bench.app.classify_uploaded(bench.upload(name, photo))
        row = bench.row(name)
        assert row is not None
        assert row.decision_version
        return row

    blob.upload_blob(json.dumps({"allow": {"": ["star"]}}))
    bench = started(settings, monkeypatch)
    first = decided()
    assert (first.label, first.label_index) == ("star", 9)
    assert first.predictions[0].label != "star"
    assert "min_score=replaced" in caplog.text

    blob.upload_blob(json.dumps({"allow": {"a/": []}}), overwrite=True)
    until(lambda: decided().label == "unknown", "a row of the new decision")
    blob.upload_blob('{"labels": {"staar": {}, "balll": {"min_score": 0.5}}}', overwrite=True)
    until(lambda: decided().label == "unknown" and "did you mean" in caplog.text, "the refusal of a broken decision")
    blob.delete_blob()
    until(lambda: decided().label == "unknown" and "upload it there" in caplog.text, "the refusal of a missing one")

    blob.upload_blob("[]")
    cold = load(monkeypatch, **settings)
    with pytest.raises(ModelError, match=f"{shelf.folder.container}/rules/decision.json must hold a JSON object"):
        cold.classify_uploaded(bench.upload("cold.jpg", photo))
    assert bench.row("cold.jpg") is None
    cold.clients.close()
    bench.app.clients.close()


def test_a_decision_in_the_folder_of_a_model_in_blob_storage_is_published_with_it(
    settings: dict[str, str], shelf: Shelf, monkeypatch: pytest.MonkeyPatch, photo: bytes, tmp_path: Path
) -> None:
    copy = shutil.copytree(SHAPES, tmp_path / "shapes")
    (copy / "decision.json").write_text('{"allow": {"": ["star"]}}')
    shelf.publish(copy)
    bench = started(settings, monkeypatch)
    bench.app.classify_uploaded(bench.upload("a.jpg", photo))
    row = bench.row("a.jpg")
    assert row is not None
    assert row.label == "star"
    bench.app.clients.close()
