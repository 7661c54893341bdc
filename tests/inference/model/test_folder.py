"""The graph of a folder, the order of trust, and the identity of the model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inference import classifier
from tests.inference.model.loading import LINES, refusal, with_input
from tests.inference.model.model_folders import MODEL_JSON, folder, graph

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]


def test_a_missing_folder_an_empty_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no .onnx file" in refusal(tmp_path / "empty")
    (tmp_path / "model.onnx").write_bytes(graph().SerializeToString())
    assert "give the folder" in refusal(tmp_path / "model.onnx")


def test_several_graphs_need_a_choice(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(), name="a.onnx", labels_txt=LINES, model_json=MODEL_JSON)
    folder(path, graph(), name="b.onnx")
    assert '"graph": "a.onnx"' in refusal(path)
    folder(path, graph(), name="b.onnx", model_json=MODEL_JSON | {"graph": "b.onnx"})
    assert classifier.load(path).spec.graph.name == "b.onnx"


def test_model_json_wins_and_the_exporters_files_add_the_rest(tmp_path: Path) -> None:
    processor = {"size": 8, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3}
    path = folder(
        tmp_path,
        graph(),
        labels_txt=LINES,
        preprocessor_config_json=processor,
        model_json={"name": "mine", "input": {"color_order": "BGR"}},
    )
    spec = classifier.load(path).spec
    assert (spec.identity.name, spec.input.color_order, spec.input.interpolation) == ("mine", "BGR", "bicubic")
    assert spec.values["input.color_order"].source == "model.json: input.color_order"
    assert spec.values["input.interpolation"].source == "preprocessor_config.json: resample"


def test_a_complete_model_json_imports_no_other_reader() -> None:
    """The shipped model, in a process of its own: readers of other files would slow every start."""
    script = (
        "import json, sys\n"
        "from inference import classifier\n"
        "classifier.load('models/shapes')\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('inference.model.')]))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {name.removeprefix("inference.model.") for name in json.loads(run.stdout)}
    assert {name for name in imported if name.startswith("exporters.")} == {
        "exporters.json_file",
        "exporters.model_json",
    }
    assert "refusals" not in imported


def test_scale_mean_and_std_are_never_mixed_from_two_sources(tmp_path: Path) -> None:
    processor = {"size": 8, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    model_json = {"input": {"scale": 1}}
    path = folder(tmp_path, graph(), labels_txt=LINES, preprocessor_config_json=processor, model_json=model_json)
    spec = classifier.load(path).spec.input
    assert (spec.scale, spec.mean, spec.std) == (1, (0,) * 3, (1,) * 3)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: folder(path, graph(operators=("Identity",))), id="graph"),
        pytest.param(lambda path: folder(path, graph(), labels_txt="red\ngreen\nviolet\n"), id="labels"),
        pytest.param(lambda path: folder(path, graph(), model_json=with_input(mean=0.5)), id="preprocessing"),
    ],
)
def test_a_changed_graph_label_or_preprocessing_is_another_version(
    tmp_path: Path, change: Callable[[Path], Path]
) -> None:
    path = folder(tmp_path, graph(), labels_txt=LINES, model_json=MODEL_JSON)
    before = classifier.load(path).model
    assert len(before.version) == 12
    assert int(before.version, 16) >= 0
    change(path)
    assert classifier.load(path).model.version != before.version


def test_the_same_model_in_another_folder_has_the_same_version(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", graph(), labels_txt=LINES, model_json=MODEL_JSON)
    two = folder(
        tmp_path / "two", graph(), labels_txt=LINES, model_json=MODEL_JSON, notes_md="unknown files are ignored"
    )
    assert classifier.load(one).model.version == classifier.load(two).model.version
    assert classifier.load(one).model.name == "one"
