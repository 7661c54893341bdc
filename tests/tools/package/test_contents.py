"""The files of the app and of a model that ship, and those that do not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import onnx
import pytest

from inference.errors import ConfigurationError, ModelError
from inference.model.folder import load_model
from tools.package import contents

SHAPES = Path(__file__).resolve().parents[3] / "models" / "shapes"


def git(root: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.invalid"]
    subprocess.run(["git", "-C", root, *identity, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the app's files and others that must not ship."""
    root = tmp_path / "checkout"
    for name in (
        "function_app.py",
        "host.json",
        "inference/model/loaded.py",
        "inference/README.md",
        "storage/blobs.py",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "tests").mkdir()
    (root / "tests" / "test_model.py").write_text("")
    (root / ".gitignore").write_text("*.pyc\nlocal.settings.json\n")
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=all")
    for stray in ("inference/private.jpg", "storage/key.pem", "storage/blobs.pyc", "local.settings.json"):
        (root / stray).write_text("a secret")
    return root


def test_only_what_git_tracks_of_the_app_ships(checkout: Path) -> None:
    assert sorted(contents.app_files(checkout)) == [
        "function_app.py",
        "host.json",
        "inference/model/loaded.py",
        "storage/blobs.py",
    ]


def test_untracked_files_are_listed_because_one_may_be_a_new_module(checkout: Path) -> None:
    (checkout / "inference" / "new.py").write_text("")
    assert contents.untracked_files(checkout) == ["inference/new.py", "inference/private.jpg", "storage/key.pem"]


def test_an_uncommitted_change_ships(checkout: Path) -> None:
    (checkout / "storage" / "blobs.py").write_text("changed")
    assert contents.app_files(checkout)["storage/blobs.py"].read_text() == "changed"


def test_a_missing_tracked_file_is_named(checkout: Path) -> None:
    (checkout / "storage" / "blobs.py").unlink()
    with pytest.raises(ConfigurationError, match=r"storage/blobs\.py .*git restore"):
        contents.app_files(checkout)


def test_outside_a_checkout_the_error_contains_gits_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ConfigurationError, match="not a git repository"):
        contents.app_files(tmp_path)


def test_without_git_the_error_asks_for_it(checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="install git"):
        contents.app_files(checkout)


def test_only_the_files_that_the_app_reads_of_a_model_ship(my_model: Path, tmp_path: Path) -> None:
    (my_model / "decision.json").write_text("{}")
    path, identity = contents.model_files(my_model, tmp_path / "package")
    assert path == "models/my-model"
    shipped = sorted(name for name, _ in contents.files_below(tmp_path / "package", "."))
    names = ("decision.json", "labels.txt", "model.json", "model.onnx", "weights.bin")
    assert shipped == [f"./models/my-model/{name}" for name in names]
    original = load_model(my_model).spec
    packed = load_model(tmp_path / "package" / path).spec
    assert packed.identity == original.identity == identity


def test_a_model_that_the_app_refuses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"model\.onnx"):
        contents.model_files(tmp_path, tmp_path / "package")


@pytest.mark.parametrize("lead", ["../{name}", "{folder}/{name}", "link"], ids=["parent", "absolute", "a link"])
def test_a_model_that_names_a_file_outside_its_folder_is_refused(lead: str, my_model: Path, tmp_path: Path) -> None:
    """A downloaded graph could name a private key of this machine as its weights."""
    secret = tmp_path / "id_ed25519"
    (my_model / "weights.bin").rename(secret)
    (my_model / "link").symlink_to(secret)
    graph = onnx.load(my_model / "model.onnx", load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = lead.format(name=secret.name, folder=tmp_path)
    onnx.save(graph, my_model / "model.onnx")
    with pytest.raises(ModelError):
        contents.model_files(my_model, tmp_path / "package")
    assert not (tmp_path / "package").exists()


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    contents.model_files(SHAPES, tmp_path / "package")
    with pytest.raises(ConfigurationError, match="named shapes"):
        contents.model_files(SHAPES, tmp_path / "package")
