"""``model check`` shows the model's input as a picture and in numbers, and the model's output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from inference.classifier import Classifier
from inference.model.folder import load_model
from tests.inference.model.model_folders import BLUE, MODEL_JSON, UINT8, encoded, folder, graph, noise
from tests.tools.model.model_command import LINES, run_model
from tools.model.check import to_picture

if TYPE_CHECKING:
    from pathlib import Path


def test_writes_the_input_as_a_picture_and_prints_the_output(colours: Path, photos: Path, tmp_path: Path) -> None:
    run = run_model("check", colours, photos / "red.png", photos / "blue.png", "-o", tmp_path / "seen", "--json")
    assert run.returncode == 0
    red, blue = (json.loads(line) for line in run.stdout.splitlines())
    assert [red["predictions"][0]["label"], blue["predictions"][0]["label"]] == ["red", "blue"]
    assert red["tensor"]["shape"] == [1, 3, 8, 8]
    assert red["tensor"]["mean"] == pytest.approx([1, 0, 0])
    assert red["output"] | {"sum": 1} == {
        "name": "logits", "shape": [1, 3], "count": 3, "min": 0, "max": 1, "sum": 1, "activation": "softmax",
    }  # fmt: skip
    with Image.open(blue["picture"]) as seen:
        assert (seen.size, seen.getpixel((4, 4))) == ((8, 8), BLUE)


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        ({}, {}),
        ({"color_order": "BGR", "scale": 1, "mean": [104, 117, 124]}, {}),
        ({"scale": 1 / 127.5, "mean": 1}, {"shape": ("N", 8, 8, 3), "layout": "NHWC"}),
        ({"scale": 1}, {"dtype": UINT8}),
        ({}, {"shape": (3, 8, 8)}),
        ({}, {"shape": (4, 3, 8, 8)}),
    ],
    ids=["plain", "BGR", "NHWC", "uint8", "no batch axis", "batch of four"],
)
def test_the_picture_undoes_the_preprocessing_exactly(
    tmp_path: Path, pixels: dict[str, Any], options: dict[str, Any]
) -> None:
    """The input has the size of the image, so that only the arithmetic is undone."""
    model_json = {"input": MODEL_JSON["input"] | pixels, "output": {"activation": "softmax"}}
    model = load_model(folder(tmp_path / "m", graph(**options), labels_txt=LINES, model_json=model_json))
    picture = noise(8, 8)
    _, (tensor,), *_ = Classifier([model]).preprocess(encoded(picture))
    assert np.array_equal(np.asarray(to_picture(model.spec.input, tensor)), np.asarray(picture))


def test_the_picture_of_a_grey_model_is_grey(tmp_path: Path, photos: Path) -> None:
    grey = folder(
        tmp_path / "m",
        graph(shape=("N", 1, 8, 8), operators=["Softmax"]),
        labels_txt=LINES,
        model_json={"input": {"scale": 1, "resize": "squash"}},
    )
    run = run_model("check", grey, photos / "red.png", "-o", tmp_path, "--json")
    with Image.open(json.loads(run.stdout)["picture"]) as seen:
        assert (seen.mode, seen.getpixel((0, 0))) == ("L", 76)


def test_continues_after_a_bad_image_and_overwrites_no_picture(colours: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "notes.txt").write_text("no picture")
    seen = tmp_path / "seen"
    run = run_model("check", colours, photos / "notes.txt", photos / "red.png", photos / "red.png", "-o", seen)
    assert run.returncode == 1
    assert "not_an_image" in run.stdout
    assert sorted(path.name for path in seen.iterdir()) == ["red.seen-1.png", "red.seen.png"]


def test_a_missing_file_is_misuse(colours: Path) -> None:
    assert run_model("check", colours, "nowhere.jpg").returncode == 2


def test_writes_no_picture_unless_asked(
    colours: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(photos.iterdir())
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    run = run_model("check", colours, photos / "red.png")
    assert "picture   not written: -o DIR writes it" in run.stdout
    assert json.loads(run_model("check", colours, photos / "red.png", "--json").stdout)["picture"] is None
    assert sorted(photos.iterdir()) == before
    assert list(here.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_misuse(colours: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    run = run_model("check", colours, photos / "red.png", "-o", tmp_path / "file" / "seen")
    assert (run.returncode, run.stdout) == (2, "")
    assert "cannot be written: " in run.stderr
