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
    run = run_model("inspect", folder(tmp_path / "m", graph(), labels_txt=LINES))
    assert (run.returncode, run.stdout) == (2, "")
    assert len(run.stderr.splitlines()) == 1
