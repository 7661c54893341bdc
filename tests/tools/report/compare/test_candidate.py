"""The app with a candidate on trial: it answers beside the model, and the report compares both."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from storage.blob_folder import BlobFolder
from storage.results.record import Image, Record, Status
from tests.test_function_app import SHAPES, Bench, load, photo, settings
from tests.test_models_of_the_app import Shelf
from tests.waiting import until
from tools.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite

__all__ = ["photo", "settings"]  # fixtures


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """The sample model with its labels in reverse, so that it is always of another opinion."""
    folder = shutil.copytree(SHAPES, tmp_path / "candidate")
    labels = (folder / "labels.txt").read_text().split("\n")
    named = [line for line in labels if line and not line.startswith("#")]
    (folder / "labels.txt").write_text("\n".join(reversed(named)) + "\n")
    document = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(document | {"name": "reversed"}))
    return folder


def started(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(load(monkeypatch, **settings), settings["INCOMING_CONTAINER"], settings["ImageStorage"])
    made.app.clients.blobs.create_container(made.incoming)
    return made


def classified(bench: Bench, name: str, photo: bytes) -> Record:
    bench.app.classify_uploaded(bench.upload(name, photo))
    row = bench.row(name)
    assert row is not None
    assert row.status is Status.CLASSIFIED
    return row


def answered(bench: Bench) -> None:
    """Wait until the candidate is loaded."""
    assert bench.app.shadow is not None
    until(bench.app.shadow._candidate, "the candidate")


@pytest.fixture(params=["folder", "blob"])
def place(
    request: pytest.FixtureRequest, azurite: Azurite, names: Names, candidate: Path, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """The settings that name the candidate."""
    if request.param == "folder":
        yield {"SHADOW_MODEL_DIR": str(candidate)}
        return
    shelf = Shelf(azurite.connection_string, BlobFolder(names.container("models"), "candidate"))
    shelf.publish(candidate)
    yield {"SHADOW_MODEL_BLOB": str(shelf.folder), "MODEL_CACHE_DIR": str(tmp_path / "cache")}
    shelf.clients.close()


def test_a_candidate_answers_beside_the_model_and_the_report_compares_them(  # noqa: PLR0917 - fixtures
    settings: dict[str, str],
    place: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    photo: bytes,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.INFO)
    alone = started(settings, monkeypatch)
    expected = classified(alone, "alone.jpg", photo)
    alone.app.clients.close()
    bench = Bench(load(monkeypatch, **settings, **place, SHADOW_SHARE="1"), alone.incoming, alone.connection_string)
    (line,) = [text for text in caplog.messages if "app_started" in text and "shadow" in text]
    assert f" shadow={json.dumps(next(iter(place.values())))} shadow_share=1.0 " in line
    answered(bench)
    row = classified(bench, "both.jpg", photo)
    sidecar = bench.app.stores.results.read_sidecar(Image(bench.incoming, "both.jpg"))
    assert row.shadow is not None
    assert (row.shadow.model.name, row.shadow.score, row.shadow.predictions) == ("reversed", expected.score, ())
    assert expected.label_index is not None
    labels = (SHAPES / "labels.txt").read_text().split()
    assert row.shadow.label == labels[::-1][expected.label_index]
    assert len(sidecar.record.shadow.predictions) == 5
    assert (row.model, row.model_version, row.label, row.score, row.predictions) == (
        *(expected.model, expected.model_version, expected.label, expected.score, expected.predictions),
    )
    page = tmp_path / "models.html"
    assert main(["report", "--compare", "-o", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "reversed" in text
    assert row.shadow.model.version in text
    bench.app.clients.close()
    capsys.readouterr()


@pytest.mark.parametrize("broken", ["missing", "no model"])
def test_a_broken_candidate_stops_nothing(  # noqa: PLR0917 - fixtures
    broken: str,
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    photo: bytes,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "candidate"
    if broken == "no model":
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"no graph")
    bench = started({**settings, "SHADOW_MODEL_DIR": str(folder), "SHADOW_SHARE": "1"}, monkeypatch)
    until(lambda: "shadow_" in caplog.text)
    for name in ("a.jpg", "b.jpg"):
        assert classified(bench, name, photo).shadow is None
    assert [text.split()[0] for text in caplog.messages if "shadow_" in text] in (
        ["shadow_refused"],
        ["shadow_not_refreshed"],
    )
    assert main(["doctor"]) in (0, 1)
    bench.app.clients.close()


@pytest.mark.parametrize("trial", [{}, {"SHADOW_MODEL_DIR": "models/shapes", "SHADOW_SHARE": "0"}], ids=["unset", "0"])
def test_without_a_trial_nothing_is_imported(
    trial: dict[str, str], settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = ("storage.models.candidate", "storage.pipeline.shadow")
    for module in modules:
        monkeypatch.delitem(sys.modules, module, raising=False)
    app = load(monkeypatch, **settings, **trial)
    assert app.stores.shadow is None
    assert not any(module in sys.modules for module in modules)
    app.clients.close()
