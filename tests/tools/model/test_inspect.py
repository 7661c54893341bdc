"""``model inspect`` prints every value and its source."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.inference.model.model_folders import MODEL_JSON, folder, graph
from tests.tools.model.model_command import LINES, hugging_face_folder, run_model

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "models.md"


def test_prints_every_value_and_its_source(tmp_path: Path) -> None:
    run = run_model("inspect", hugging_face_folder(tmp_path / "vit"), "--json")
    assert run.returncode == 0
    report = json.loads(run.stdout)
    assert (report["name"], report["labels"]) == ("vit", ["red", "green", "blue"])
    assert report["facts"]["input.mean"]["value"] == [0.4, 0.5, 0.6]
    assert report["facts"]["input.mean"]["source"].startswith("preprocessor_config.json: ")
    assert report["facts"]["labels"]["source"].startswith("config.json: ")
    assert report["facts"]["input.layout"]["value"] == "NCHW"
    assert all(value["source"] for value in report["facts"].values())


def test_reads_the_decision_of_the_folder(colours: Path) -> None:
    (colours / "decision.json").write_text('{"min_score": 0.5}')
    run = run_model("inspect", colours)
    assert "rules    decision.json, version " in run.stdout
    (colours / "decision.json").write_text('{"min_score": 2}')
    run = run_model("inspect", colours, "--json")
    assert (run.returncode, run.stdout) == (2, "")
    assert "from 0 to 1" in run.stderr


def test_prints_a_table(colours: Path) -> None:
    run = run_model("inspect", colours)
    assert run.returncode == 0
    lines = {line.split()[0]: line for line in run.stdout.splitlines() if line}
    assert lines["input.color_order"].split(maxsplit=2)[1:] == ["RGB", "model.json: input.color_order"]
    assert lines["labels"].startswith("labels ")


def test_escapes_control_characters(tmp_path: Path) -> None:
    export = folder(
        tmp_path / "m", graph(), labels_txt="a\n\x1b[2Jb\nc\n", model_json={**MODEL_JSON, "name": "\x1b[31mred"}
    )
    run = run_model("inspect", export)
    assert run.returncode == 0
    assert "\x1b" not in run.stdout


def test_a_refused_model_prints_one_sentence(tmp_path: Path) -> None:
    run = run_model("inspect", folder(tmp_path / "m", graph(), labels_txt=LINES, model_json={"input": {"scale": 0}}))
    assert (run.returncode, run.stdout) == (2, "")
    assert len(run.stderr.splitlines()) == 1


def test_an_incomplete_model_prints_what_is_known_and_what_is_missing(tmp_path: Path) -> None:
    export = folder(tmp_path / "m", graph(), labels_txt=LINES, model_json={"input": {"scale": 0.5}})
    run = run_model("inspect", export)
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1
    known, _, missing = run.stdout.partition("\nmissing\n")
    assert ["input.scale", "0.5", "model.json: input.scale"] in [line.split(maxsplit=2) for line in known.splitlines()]
    assert "begins   Cast, ReduceMean: it does not rescale its pixels\n" in known
    table, _, template = missing.partition("\nmodel.json to fill in\n")
    assert [line.split(maxsplit=2)[:2] for line in table.splitlines()] == [
        ["input.color_order", "?"],
        ["input.resize", "?"],
        ["output.activation", "?"],
    ]
    assert json.loads(template) == {
        "input": {"scale": 0.5, "color_order": "?", "resize": "?"},
        "output": {"activation": "?"},
    }


def test_the_document_shows_what_an_incomplete_model_prints(tmp_path: Path) -> None:
    """A Keras model that rescales its own pixels, through tf2onnx."""
    rng = np.random.default_rng(0)
    constants = {
        "factor": np.float32(1 / 127.5), "offset": np.float32(-1),
        "kernels": rng.normal(size=(8, 3, 3, 3)).astype(np.float32), "weights": np.eye(8, 5, dtype=np.float32),
    }  # fmt: skip
    make = helper.make_node
    nodes = [
        make("Mul", ["input", "factor"], ["a"]), make("Add", ["a", "offset"], ["b"]),
        make("Transpose", ["b"], ["c"], perm=[0, 3, 1, 2]), make("Conv", ["c", "kernels"], ["d"]),
        make("GlobalAveragePool", ["d"], ["e"]), make("Flatten", ["e"], ["f"]), make("MatMul", ["f", "weights"], ["g"]),
        make("Softmax", ["g"], ["predictions"]),
    ]  # fmt: skip
    keras = helper.make_graph(
        nodes,
        "keras",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 224, 224, 3])],
        [helper.make_tensor_value_info("predictions", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(keras, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    run = run_model("inspect", folder(tmp_path / "keras", model))
    shown = DOCUMENT.read_text(encoding="utf-8").partition("$ python -m tools model inspect models/keras\n")[2]
    sample = shown.partition("```")[0].splitlines()
    assert run.returncode == 2
    assert run.stdout.splitlines()[1:] == sample[1:], "but for the path and the size of the graph"


def test_an_incomplete_model_prints_one_json_object(tmp_path: Path) -> None:
    run = run_model("inspect", folder(tmp_path / "m", graph(), model_json=MODEL_JSON), "--json")
    assert run.returncode == 2
    report = json.loads(run.stdout)
    assert set(report["missing"]) == {"labels"}
    assert report["model.json"] == MODEL_JSON | {"labels": "?"}
    assert report["facts"]["input.size"]["value"] == [8, 8]
    assert report["begins"] == "Cast, ReduceMean: it does not rescale its pixels"
