"""Roboflow: ``environment.json`` and ``model_type.json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from inference import classifier
from tests.inference.model.loading import LINES, NAMES, assert_distinguishes_colours, refusal, tensor
from tests.inference.model.model_folders import MODEL_JSON, folder, graph, noise

if TYPE_CHECKING:
    from pathlib import Path

STRETCH = {"enabled": True, "width": 640, "height": 640, "format": "Stretch to"}


def environment(resize: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return what Roboflow serves beside a graph; ``PREPROCESSING`` is JSON text."""
    steps = changes.pop("steps", {})
    preprocessing = {"auto-orient": {"enabled": True}, "resize": resize or STRETCH} | steps
    return {
        "PREPROCESSING": json.dumps(preprocessing),
        "CLASS_MAP": {str(index): name for index, name in enumerate(NAMES)},
        "BATCH_SIZE": 8,
        "RESOLUTION": 640,
    } | changes


VIT = {"project_task_type": "classification", "model_type": "vit"}


def test_an_architecture_states_mean_and_std(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(), environment_json=environment(), model_type_json=VIT)
    assert_distinguishes_colours(path)
    image = noise(8, 8)
    expected = (np.asarray(image) / 255 - 0.5) / 0.5
    np.testing.assert_allclose(tensor(path, image), expected.transpose(2, 0, 1), atol=1e-5)
    spec = classifier.load(path).spec
    assert (spec.input.resize, spec.input.height, str(spec.output.activation)) == ("squash", 8, "softmax")
    folder(path, graph(), model_type_json=VIT | {"model_type": "resnet18"})
    assert classifier.load(path).spec.input.mean == (0.485, 0.456, 0.406)


def test_without_an_architecture_mean_and_std_are_asked(tmp_path: Path) -> None:
    message = refusal(folder(tmp_path, graph(), environment_json=environment()))
    assert message.endswith(': {"input": {"scale": "?", "mean": "?", "std": "?"}}')


def test_the_index_of_the_class_map_counts(tmp_path: Path) -> None:
    names = [f"class {letter}" for letter in "abcdefghijklm"]
    class_map = {str(index): name for index, name in sorted(enumerate(names), key=lambda pair: str(pair[0]))}
    files: dict[str, Any] = {"environment_json": environment(CLASS_MAP=class_map), "model_type_json": VIT}
    assert classifier.load(folder(tmp_path, graph(classes=13), **files)).spec.labels == tuple(names)


def test_a_class_list_and_values_that_are_not_text_are_read(tmp_path: Path) -> None:
    content = environment(CLASS_MAP=None, CLASS_LIST=NAMES, PREPROCESSING={"resize": STRETCH})
    path = folder(tmp_path, graph(), environment_json=content, model_type_json=VIT)
    assert_distinguishes_colours(path)


@pytest.mark.parametrize(
    ("words", "mode", "color"),
    [
        ("Stretch to", "squash", (0, 0, 0)),
        ("Fit (black edges) in", "letterbox", (0, 0, 0)),
        ("Fit (white edges) in", "letterbox", (255, 255, 255)),
        ("Fill (with center crop) in", "shortest_side_crop", (0, 0, 0)),
    ],
)
def test_resize_formats(tmp_path: Path, words: str, mode: str, color: tuple[int, int, int]) -> None:
    model = graph(shape=("N", 3, "h", "w"))
    resize = {"enabled": True, "width": 20, "height": 10, "format": words}
    path = folder(tmp_path, model, environment_json=environment(resize), model_type_json=VIT)
    spec = classifier.load(path).spec
    assert (spec.input.resize, spec.input.pad_color, spec.input.height, spec.input.width) == (mode, color, 10, 20)
    assert spec.input.antialias is False


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(31, 21, (8, 5)), (21, 31, (5, 8)), (24, 12, (8, 4))], ids=str
)
def test_a_letterbox_floors_its_shorter_side(
    tmp_path: Path, width: int, height: int, expected: tuple[int, int]
) -> None:
    resize = {"width": 8, "height": 8, "format": "Fit (white edges) in"}
    path = folder(tmp_path, graph(), environment_json=environment(resize), model_type_json=VIT)
    values = tensor(path, Image.new("RGB", (width, height)))
    inside = values[0] < 0
    assert (int(inside.any(axis=0).sum()), int(inside.any(axis=1).sum())) == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (environment({"format": "Fit (reflect edges) in"}), "resize.format 'Fit (reflect edges) in'"),
        (environment({"format": "Fit within"}), "resize.format 'Fit within'"),
        (environment(steps={"grayscale": {"enabled": True}}), "PREPROCESSING 'grayscale'"),
        (environment(steps={"contrast": {"enabled": True, "type": "Contrast Stretching"}}), "'contrast'"),
        (environment(steps={"static-crop": {"enabled": True, "x_min": 25}}), "'static-crop'"),
        (environment(steps={"sharpen": {"amount": 3}}), "'sharpen (unknown)'"),
        (environment(PREPROCESSING="{"), "PREPROCESSING is not valid JSON"),
    ],
)
def test_a_step_that_is_not_supported_is_refused_by_name(
    tmp_path: Path, content: dict[str, Any], sentence: str
) -> None:
    path = folder(tmp_path, graph(), environment_json=content, model_type_json=VIT)
    message = refusal(path)
    assert "environment.json" in message
    assert sentence in message


def test_a_step_that_is_off_is_none(tmp_path: Path) -> None:
    content = environment(steps={"contrast": {"enabled": False}, "grayscale": {"enabled": False}})
    assert_distinguishes_colours(folder(tmp_path, graph(), environment_json=content, model_type_json=VIT))


def test_several_labels_per_photo_and_another_task(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(), environment_json=environment(MULTICLASS=True), model_type_json=VIT)
    assert classifier.load(path).spec.output.activation == "sigmoid"
    folder(path, graph(), model_type_json={"project_task_type": "object-detection", "model_type": "yolov8n"})
    assert "project_task_type is 'object-detection'" in refusal(path)


@pytest.mark.parametrize("content", [[], {"id": "postman", "values": []}], ids=str)
def test_another_programs_environment_is_ignored(tmp_path: Path, content: Any) -> None:
    path = folder(tmp_path, graph(), environment_json=content, labels_txt=LINES, model_json=MODEL_JSON)
    assert_distinguishes_colours(path)
