"""``model add`` turns a name, URL, file or folder into a model folder that works, or reports what it lacks."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from inference import classifier
from inference.model.exporters import catalogue
from tests.inference.model.model_folders import BLUE, MODEL_JSON, folder, graph, png
from tests.tools.model.model_command import LINES, hugging_face_folder, run_model

if TYPE_CHECKING:
    from tests.tools.model.flaky_server import Site

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "docs" / "model.schema.json").read_text())
GRAPH: bytes = graph().SerializeToString()


def files_in(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


class TestFolder:
    """An exporter's folder."""

    def test_becomes_a_model_folder_with_the_same_identity(self, tmp_path: Path, models: Path) -> None:
        export = hugging_face_folder(tmp_path / "export")
        run = run_model("add", export, "--to", models)
        assert (run.returncode, run.stdout) == (0, f"{models / 'export'}\n")
        added = classifier.load(models / "export").model
        assert added == classifier.load(export).model

    def test_gets_a_model_json_with_every_value_and_its_source(self, tmp_path: Path, models: Path) -> None:
        export = hugging_face_folder(tmp_path / "export")
        run_model("add", export, "--to", models)
        document = json.loads((models / "export" / "model.json").read_text())
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
        assert document["input"]["mean"] == [0.4, 0.5, 0.6]
        assert document["labels"] == ["red", "green", "blue"]
        assert document["sources"]["input.mean"].startswith("preprocessor_config.json: ")
        for name in ("config.json", "preprocessor_config.json"):
            (models / "export" / name).unlink()
        assert classifier.load(models / "export").model == classifier.load(export).model

    def test_added_twice_keeps_its_first_sources(self, tmp_path: Path, models: Path) -> None:
        run_model("add", hugging_face_folder(tmp_path / "export"), "--to", models)
        run_model("add", models / "export", "--to", tmp_path / "again")
        first, second = (
            json.loads((place / "export" / "model.json").read_text()) for place in (models, tmp_path / "again")
        )
        assert first == second

    def test_is_copied_without_files_that_the_model_does_not_need(self, tmp_path: Path, models: Path) -> None:
        export = hugging_face_folder(tmp_path / "export")
        (export / "onnx").mkdir()
        (export / "onnx" / "quantized.onnx").write_bytes(GRAPH)
        (export / ".git").write_text("x")
        with (export / "pytorch_model.bin").open("wb") as checkpoint:
            checkpoint.truncate(1 << 30)
        run_model("add", export, "--to", models)
        assert files_in(models) == [
            f"export/{name}" for name in ("config.json", "model.json", "model.onnx", "preprocessor_config.json")
        ]

    def test_takes_the_given_name(self, tmp_path: Path, models: Path) -> None:
        run_model("add", hugging_face_folder(tmp_path / "export"), "--to", models, "--name", "mine")
        assert classifier.load(models / "mine").model.name == "mine"

    def test_does_not_overwrite_an_existing_folder(self, tmp_path: Path, models: Path) -> None:
        export = hugging_face_folder(tmp_path / "export")
        (models / "export").mkdir(parents=True)
        run = run_model("add", export, "--to", models)
        assert (run.returncode, files_in(models)) == (2, [])
        assert "--name" in run.stderr

    @pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "x" * 101])
    def test_a_name_with_a_path_is_refused(self, tmp_path: Path, models: Path, name: str) -> None:
        run = run_model("add", hugging_face_folder(tmp_path / "export"), "--to", models, f"--name={name or '/'}")
        assert run.returncode == 2
        assert len(run.stderr.splitlines()) == 1

    def test_is_refused_when_it_cannot_be_used(self, tmp_path: Path, models: Path) -> None:
        export = folder(tmp_path / "export", graph(), labels_txt=LINES)
        run = run_model("add", export, "--to", models)
        assert run.returncode == 2
        assert "colour order" in run.stderr
        assert not models.exists() or files_in(models) == []

    @pytest.mark.parametrize("mode", ["squash", "letterbox"])
    def test_every_resize_mode_is_written(self, tmp_path: Path, models: Path, mode: str) -> None:
        pixels: dict[str, Any] = {
            "color_order": "BGR",
            "resize": mode,
            "scale": 0.1,
            "mean": 3,
            "order": "mean_first",
            "std": [1, 2, 3],
        }
        numbers: dict[str, dict[str, Any]] = {"squash": {"crop_pct": 0.7}, "letterbox": {"pad_color": [1, 2, 3]}}
        pixels |= numbers[mode]
        export = folder(
            tmp_path / "export", graph(), labels_txt=LINES, model_json=MODEL_JSON | {"input": pixels, "name": "n"}
        )
        assert run_model("add", export, "--to", models).returncode == 0
        assert classifier.load(models / "export").model == classifier.load(export).model


class TestPublished:
    @pytest.fixture
    def known(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """A catalogue of one small model, and a mirror that serves it."""
        pixels = {
            "layout": "NCHW", "color_order": "RGB", "size": [8, 8], "resize": "shortest_side_crop", "shortest_side": 9,
            "interpolation": "bicubic", "scale": 1, "mean": [0, 0, 0], "std": [1, 1, 1],
        }  # fmt: skip
        entry = {
            "name": "small-1", "sha256": hashlib.sha256(GRAPH).hexdigest(), "path": "models/small-1.onnx",
            "labels": "models/synset.txt", "input": pixels, "output": {"activation": "softmax"},
        }  # fmt: skip
        content = {"repository": "example/models", "commit": "0123abc", "models": [entry]}
        monkeypatch.setattr(catalogue, "content", lambda: content)
        monkeypatch.setattr(catalogue, "_models", lambda: {entry["sha256"]: entry})
        site.files |= {"/models/small-1.onnx": GRAPH, "/models/synset.txt": LINES.encode()}
        return entry

    def test_comes_with_its_labels(self, site: Site, known: dict[str, Any], models: Path) -> None:
        run = run_model("add", "small-1", "--to", models, "--mirror", site.url)
        assert run.returncode == 0, run.stderr
        assert files_in(models) == ["small-1/model.json", "small-1/small-1.onnx", "small-1/synset.txt"]
        assert classifier.load(models / "small-1").classify(png(BLUE)).label == "blue"
        sources = json.loads((models / "small-1" / "model.json").read_text())["sources"]
        assert sources["input.color_order"] == "known_models.json: small-1"

    def test_another_sha256_is_refused(self, site: Site, known: dict[str, Any], models: Path) -> None:
        site.files["/models/small-1.onnx"] = GRAPH[:-1] + b"\0"
        run = run_model("add", "small-1", "--to", models, "--mirror", site.url)
        assert run.returncode == 2
        assert "SHA-256" in run.stderr
        assert files_in(models) == []

    def test_a_verified_graph_is_not_downloaded_twice(self, site: Site, known: dict[str, Any], models: Path) -> None:
        labels = site.files.pop("/models/synset.txt")
        assert run_model("add", "small-1", "--to", models, "--mirror", site.url).returncode == 2
        assert not (models / "small-1").exists()
        site.files["/models/synset.txt"] = labels
        site.requests.clear()
        assert run_model("add", "small-1", "--to", models, "--mirror", site.url).returncode == 0
        assert [path for path, _, _ in site.requests] == ["/models/synset.txt"]

    def test_an_unknown_name_is_refused_with_a_suggestion(self, known: dict[str, Any], models: Path) -> None:
        run = run_model("add", "smal-1", "--to", models)
        assert run.returncode == 2
        assert "did you mean small-1?" in run.stderr

    def test_the_catalogue_states_where_each_file_is(self) -> None:
        content = catalogue.content()
        assert content["repository"] == "onnx/models"
        assert len(content["commit"]) == 40
        for model in content["models"]:
            assert model["path"].endswith(f"{model['name']}.onnx")
            assert model["labels"].startswith("validated/")
            assert model["bytes"] > 1_000_000


class TestUrl:
    """A URL or path of an archive or a graph."""

    def archive(self, **files: Any) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in files.items():
                packed.writestr(name, content)
        return buffer.getvalue()

    def test_of_an_archive_is_unpacked_and_imported(self, site: Site, models: Path) -> None:
        content = self.archive(
            **{"export/model.onnx": GRAPH, "export/labels.txt": LINES, "export/model.json": json.dumps(MODEL_JSON)}
        )
        site.files["/my%20export.zip"] = content
        run = run_model("add", f"{site.url}/my%20export.zip?sig=hunter2", "--to", models, "--name", "mine")
        assert run.returncode == 0, run.stderr
        assert files_in(models) == ["mine/labels.txt", "mine/model.json", "mine/model.onnx"]
        assert hashlib.sha256(content).hexdigest() in run.stderr
        assert "hunter2" not in run.stderr
        assert classifier.load(models / "mine").model.name == "mine"

    def test_of_a_graph_alone_is_saved_and_the_missing_values_are_listed(self, site: Site, models: Path) -> None:
        site.files["/net.onnx"] = GRAPH
        run = run_model("add", f"{site.url}/net.onnx", "--to", models)
        assert run.returncode == 1
        assert files_in(models) == ["net/net.onnx"]
        assert f"{models / 'net'} does not state" in run.stderr
        (models / "net" / "labels.txt").write_text(LINES)
        (models / "net" / "model.json").write_text(json.dumps(MODEL_JSON))
        assert classifier.load(models / "net").classify(png(BLUE)).label == "blue"

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (b"<!DOCTYPE html><title>Sign in</title>", "web page"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "Git LFS pointer"),
            (b"{}", "JSON"),
            (b"", "empty"),
            (b"\x00" * 100, "not an ONNX file"),
            (b"PK\x03\x04 not really", "ZIP archive"),
        ],
        ids=["login page", "LFS pointer", "JSON", "nothing", "noise", "damaged archive"],
    )
    def test_of_another_kind_of_file_is_refused(self, site: Site, models: Path, content: bytes, text: str) -> None:
        site.files["/net.onnx"] = content
        run = run_model("add", f"{site.url}/net.onnx", "--to", models)
        assert run.returncode == 2
        assert text in run.stderr
        assert "Traceback" not in run.stderr
        assert files_in(models) == []

    @pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil"])
    def test_of_an_archive_that_leads_out_of_its_folder_is_refused(self, site: Site, models: Path, name: str) -> None:
        site.files["/a.zip"] = self.archive(**{"model.onnx": GRAPH, name: b"x"})
        run = run_model("add", f"{site.url}/a.zip", "--to", models)
        assert run.returncode == 2
        assert "leads out" in run.stderr
        assert files_in(models.parent) == []

    def test_of_an_archive_that_is_a_bomb_is_refused(
        self, site: Site, models: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tools.model.archive._MAX_BYTES", 1 << 20)
        site.files["/a.zip"] = self.archive(**{"model.onnx": b"\0" * (2 << 20)})
        run = run_model("add", f"{site.url}/a.zip", "--to", models)
        assert run.returncode == 2
        assert "more than a model has" in run.stderr

    def test_of_an_archive_without_a_graph_is_refused(self, site: Site, models: Path) -> None:
        site.files["/a.zip"] = self.archive(**{"saved_model.pb": b"x"})
        run = run_model("add", f"{site.url}/a.zip", "--to", models)
        assert run.returncode == 2
        assert "no .onnx file" in run.stderr

    def test_of_optimums_layout_keeps_the_configuration_beside_the_graph_s_folder(
        self, site: Site, tmp_path: Path, models: Path
    ) -> None:
        export = hugging_face_folder(tmp_path / "export")
        files = {f"vit/{name}": (export / name).read_bytes() for name in ("config.json", "preprocessor_config.json")}
        site.files["/vit.zip"] = self.archive(**{"vit/onnx/model.onnx": GRAPH, **files})
        assert run_model("add", f"{site.url}/vit.zip", "--to", models).returncode == 0
        assert "vit/onnx/model.onnx" in files_in(models)

    def test_may_be_a_local_file(self, tmp_path: Path, models: Path) -> None:
        (tmp_path / "a.zip").write_bytes(
            self.archive(**{"model.onnx": GRAPH, "labels.txt": LINES, "model.json": json.dumps(MODEL_JSON)})
        )
        assert run_model("add", tmp_path / "a.zip", "--to", models).returncode == 0
        assert (tmp_path / "a.zip").exists()
