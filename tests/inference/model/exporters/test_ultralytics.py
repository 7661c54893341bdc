"""Ultralytics: the metadata of an exported classifier is enough, and another task is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from inference import classifier
from inference.model_spec import Activation, CropRounding, Interpolation, ResizeMode
from tests.inference.model.loading import assert_distinguishes_colours, preprocess_alone, refusal, spec_of
from tests.inference.model.model_folders import PIXELS_JSON, folder, graph, noise

if TYPE_CHECKING:
    from pathlib import Path

METADATA = {
    "description": "Ultralytics YOLO11n-cls model trained on colours", "author": "Ultralytics", "version": "8.4.0",
    "date": "2026-05-03T10:11:12.131415", "license": "AGPL-3.0 License (https://ultralytics.com/license)",
    "docs": "https://docs.ultralytics.com", "stride": "1", "task": "classify", "batch": "1", "imgsz": "[8, 8]",
    "names": "{0: 'red', 1: 'green', 2: 'blue'}", "args": "{'batch': 1, 'half': False}", "channels": "3",
}  # fmt: skip
"""As ``model.export(format="onnx")`` of Ultralytics 8.4 writes it."""


def export(path: Path, metadata: dict[str, str] = METADATA, **options: Any) -> Path:
    """Write an export: the graph alone, which ends in a softmax."""
    options = {"shape": (1, 3, 8, 8), "input_name": "images", "output": "output0", "operators": ["Softmax"]} | options
    return folder(path, graph(metadata=metadata, **options))


def test_the_graph_alone_is_enough(tmp_path: Path) -> None:
    path = export(tmp_path)
    assert_distinguishes_colours(path)
    spec = classifier.load(path).spec
    assert spec.output.activation is Activation.NONE
    assert (spec.input.resize, spec.input.resized_height) == (ResizeMode.SHORTEST_SIDE_CROP, 8)
    assert spec.input.crop_rounding is CropRounding.HALF_EVEN
    assert spec.input.interpolation is Interpolation.BILINEAR
    assert spec.values["labels"].source == "model.onnx: names"


def test_the_tensor_is_that_of_classify_transforms(tmp_path: Path) -> None:
    """``Resize(8)``, ``CenterCrop(8)``, ``ToTensor``: 13 pixels of height leave 5, and torchvision rounds 2.5 to 2."""
    image = noise(16, 27)
    resized = image.resize((8, 13), Image.Resampling.BILINEAR)
    expected = np.asarray(resized)[2:10].transpose(2, 0, 1) / 255
    np.testing.assert_allclose(preprocess_alone(spec_of(export(tmp_path)), image), expected, atol=1e-6)
    image = noise(16, 22)
    expected = np.asarray(image.resize((8, 11), Image.Resampling.BILINEAR))[2:10].transpose(2, 0, 1) / 255
    np.testing.assert_allclose(preprocess_alone(spec_of(tmp_path), image), expected, atol=1e-6)


def test_a_size_that_is_not_square_is_squashed(tmp_path: Path) -> None:
    path = export(tmp_path, METADATA | {"imgsz": "[8, 12]"}, shape=(1, 3, 8, 12))
    spec = spec_of(path)
    assert (spec.resize, spec.height, spec.width) == (ResizeMode.SQUASH, 8, 12)


def test_a_graph_of_any_size_takes_imgsz(tmp_path: Path) -> None:
    spec = spec_of(export(tmp_path, METADATA | {"imgsz": "[64, 64]"}, shape=("batch", 3, "height", "width")))
    assert (spec.height, spec.width, spec.resized_height) == (64, 64, 64)


@pytest.mark.parametrize("task", ["detect", "segment", "pose", "obb"])
def test_another_task_is_refused_by_name_before_anything_else(tmp_path: Path, task: str) -> None:
    for number, files in enumerate(({}, {"config_json": "{", "preprocessor_config_json": "{"})):
        path = folder(tmp_path / str(number), graph(metadata=METADATA | {"task": task}), **files)
        message = refusal(path)
        assert f"task is '{task}'" in message
        assert "export a classification model" in message


def test_task_names_and_imgsz_alone_are_enough(tmp_path: Path) -> None:
    metadata = {key: METADATA[key] for key in ("task", "names", "imgsz")}
    assert_distinguishes_colours(export(tmp_path / "three", metadata))
    del metadata["imgsz"]
    path = export(tmp_path / "two", metadata)
    assert_distinguishes_colours(path)
    assert spec_of(path).resized_height == 8, "the graph's own size"
    assert "task is 'obb'" in refusal(export(tmp_path / "other", {"task": "obb", "imgsz": "[8, 8]"}))


def test_a_version_with_another_transform_is_asked_about(tmp_path: Path) -> None:
    """Ultralytics 8.0 cropped first and used OpenCV; its early versions normalised with ImageNet's mean, too."""
    path = export(tmp_path, METADATA | {"version": "8.0.200"})
    assert '"resize"' in refusal(path)
    folder(path, graph(metadata=METADATA | {"version": "8.0.200"}, operators=["Softmax"]), model_json=PIXELS_JSON)
    assert classifier.load(path).spec.labels == ("red", "green", "blue")


@pytest.mark.parametrize("names", ["{0: 'a'", "open('/etc/passwd')", "[" * 5000])
def test_names_that_are_no_literal_are_refused(tmp_path: Path, names: str) -> None:
    assert "names in the metadata of model.onnx" in refusal(export(tmp_path, METADATA | {"names": names}))


def test_a_task_of_another_exporter_means_nothing(tmp_path: Path) -> None:
    model = graph(metadata={"task": "detect"}, operators=["Softmax"])
    path = folder(tmp_path, model, model_json=PIXELS_JSON, labels_txt="red\ngreen\nblue")
    assert_distinguishes_colours(path)
