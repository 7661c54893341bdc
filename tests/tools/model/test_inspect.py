"""``model inspect`` prints every value and its source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.inference.model.model_folders import MODEL_JSON, folder, graph
from tests.tools.model.model_command import LINES, hugging_face_folder, run_model

if TYPE_CHECKING:
    from pathlib import Path


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


def test_an_incomplete_model_prints_one_json_object(tmp_path: Path) -> None:
    run = run_model("inspect", folder(tmp_path / "m", graph(), model_json=MODEL_JSON), "--json")
    assert run.returncode == 2
    report = json.loads(run.stdout)
    assert set(report["missing"]) == {"labels"}
    assert report["model.json"] == MODEL_JSON | {"labels": "?"}
    assert report["facts"]["input.size"]["value"] == [8, 8]
    assert report["begins"] == "Cast, ReduceMean: it does not rescale its pixels"
