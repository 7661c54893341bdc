"""``model bench`` measures models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.inference.model.model_folders import MODEL_JSON, folder, graph
from tests.tools.model.model_command import LINES, run_model
from tools.model.throughput import caller_counts

if TYPE_CHECKING:
    from pathlib import Path


def test_prints_json(colours: Path, tmp_path: Path, photos: Path) -> None:
    other = folder(tmp_path / "other", graph(), labels_txt=LINES, model_json=MODEL_JSON)
    run = run_model("bench", colours, other, "--image", photos / "red.png", "--seconds", "0.05", "--json")
    assert run.returncode == 0
    first, second = (json.loads(line) for line in run.stdout.splitlines())
    assert (first["name"], second["name"]) == ("colours", "other")
    assert first["ratio"] == 1
    assert first["inference"][0]["callers"] == 1
    for number in (first["load_ms"], first["preprocess_ms"], *(one["images_per_s"] for one in first["inference"])):
        assert number > 0


def test_prints_a_table(colours: Path, photos: Path) -> None:
    run = run_model("bench", colours, "--image", photos / "red.png", "--seconds", "0.02")
    assert run.returncode == 0
    assert "1 caller " in run.stdout


@pytest.mark.parametrize(("cpus", "counts"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8])])
def test_measures_one_caller_up_to_one_per_cpu(cpus: int, counts: list[int]) -> None:
    assert caller_counts(cpus) == counts
