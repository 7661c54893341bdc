"""Lobe: ``signature.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from inference import classifier
from tests.inference.model.loading import NAMES, assert_distinguishes_colours, refusal, tensor
from tests.inference.model.model_folders import MODEL_JSON, folder, graph, noise

if TYPE_CHECKING:
    from pathlib import Path


def signature(shape: list[int | None], **changes: Any) -> dict[str, Any]:
    return {
        "doc_id": "a-b-c", "doc_name": "Colours", "doc_version": "d-e-f", "format": "onnx", "version": 28,
        "inputs": {"Image": {"dtype": "float32", "shape": shape, "name": "Image:0"}},
        "outputs": {
            "Label": {"dtype": "string", "shape": [None], "name": "Label:0"},
            "Confidences": {"dtype": "float32", "shape": [None, 3], "name": "Confidences:0"},
        },
        "tags": None, "classes": {"Label": NAMES}, "filename": "model.onnx", "export_model_version": 1,
    } | changes  # fmt: skip


@pytest.mark.parametrize("version", [1, None, -1])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_needs_nothing_else(tmp_path: Path, layout: str, version: int | None) -> None:
    shape = [None, 8, 8, 3] if layout == "NHWC" else [None, 3, 8, 8]
    model = graph(shape=["N", *shape[1:]], layout=layout, operators=("Softmax",), input_name="Image:0")
    assert_distinguishes_colours(folder(tmp_path, model, signature_json=signature(shape, export_model_version=version)))


def test_logits_and_any_size_are_read_by_its_convention(tmp_path: Path) -> None:
    model = graph(shape=("N", "h", "w", 3), layout="NHWC")
    path = folder(tmp_path, model, signature_json=signature([None, 8, 8, 3]))
    spec = classifier.load(path).spec
    assert (spec.input.height, spec.input.width, str(spec.output.activation)) == (8, 8, "softmax")
    assert spec.values["labels"].source == "signature.json: classes.Label"


@pytest.mark.parametrize(("width", "height"), [(37, 21), (31, 21), (21, 31), (29, 21)], ids=str)
def test_the_tensor_is_lobes(tmp_path: Path, width: int, height: int) -> None:
    """Fill and crop with Pillow's default filter, as ``image_utils.py`` of lobe-python."""
    model = graph(shape=("N", 8, 8, 3), layout="NHWC", operators=("Softmax",))
    path = folder(tmp_path, model, signature_json=signature([None, 8, 8, 3]))
    image = noise(width, height)
    scale = max(8 / width, 8 / height)
    resized = image.resize((round(scale * width), round(scale * height)), Image.Resampling.BICUBIC)
    left, top = (resized.width - 8) // 2, (resized.height - 8) // 2
    expected = np.asarray(resized.crop((left, top, left + 8, top + 8))) / 255
    np.testing.assert_allclose(tensor(path, image), expected, atol=1e-6)


def test_the_named_graph_is_used(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(operators=("Softmax",)), signature_json=signature([None, 3, 8, 8], filename="b.onnx"))
    folder(path, graph(operators=("Softmax",)), name="b.onnx")
    (path / "model.onnx").rename(path / "a.onnx")
    assert classifier.load(path).spec.graph.name == "b.onnx"


def test_an_unknown_version_is_refused_by_name(tmp_path: Path) -> None:
    content = signature([None, 3, 8, 8], export_model_version=2)
    path = folder(tmp_path, graph(), signature_json=content)
    assert "signature.json: export_model_version 2 is not supported" in refusal(path)
    folder(path, graph(), model_json=MODEL_JSON)
    assert classifier.load(path).spec.labels == tuple(NAMES), "model.json states the rest"


@pytest.mark.parametrize("content", [[{"data": 1}], {"inputs": [{"data_name": "x"}]}, {"inputs": {"x": {}}}], ids=str)
def test_another_programs_signature_is_ignored(tmp_path: Path, content: Any) -> None:
    path = folder(tmp_path, graph(), signature_json=content, labels_json=NAMES, model_json=MODEL_JSON)
    assert_distinguishes_colours(path)
