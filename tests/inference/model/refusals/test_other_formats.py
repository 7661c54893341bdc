"""A model that is not ONNX is named with the command that converts it, by its file name and by its content."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inference import classifier
from inference.model.session import onnxruntime
from tests.inference.model.loading import LINES, refusal
from tests.inference.model.model_folders import MODEL_JSON, folder, graph

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("name", "words"), [
    ("model.ort", "ONNX Runtime's own format for one device (ORT): copy the .onnx file"),
    ("model.with_runtime_opt.ort", "copy the .onnx file that convert_onnx_models_to_ort made it from"),
    ("birds.tflite", "python -m tf2onnx.convert --tflite birds.tflite --output model.onnx"),
    ("birds.h5", 'load_model("birds.h5").export("exported")'),
    ("birds.keras", 'model.export("exported")'),
    ("saved_model.pb", "--saved-model"),
    ("best.PT", "yolo export model=best.PT format=onnx"),
    ("model.safetensors", "optimum-cli export onnx"),
])  # fmt: skip
def test_by_its_name(tmp_path: Path, name: str, words: str) -> None:
    folder(tmp_path, b"weights", name, labels_txt=LINES, model_json=MODEL_JSON)
    message = refusal(tmp_path)
    assert "holds no .onnx file" in message
    assert words in message


def test_beside_an_onnx_file_it_is_ignored(tmp_path: Path) -> None:
    folder(tmp_path, graph(), labels_txt=LINES, model_json=MODEL_JSON)
    (tmp_path / "model.ort").write_bytes(b"1234ORTM")
    assert classifier.load(tmp_path).spec.graph.name == "model.onnx"


def test_a_real_ort_file_is_named_by_its_content(tmp_path: Path) -> None:
    """As ``convert_onnx_models_to_ort`` writes it, here under the name of an ONNX file."""
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "written.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    runtime.InferenceSession(graph().SerializeToString(), options, providers=["CPUExecutionProvider"])
    content = (tmp_path / "written.ort").read_bytes()
    message = refusal(folder(tmp_path / "m", content, labels_txt=LINES, model_json=MODEL_JSON))
    assert "model.onnx is not an ONNX file: model.onnx is in ONNX Runtime's own format for one device (ORT)" in message
    named = MODEL_JSON | {"graph": "model.ort"}
    path = folder(tmp_path / "n", content, "model.ort", labels_txt=LINES, model_json=named)
    assert "(ORT)" in refusal(path)


@pytest.mark.parametrize(("head", "words"), [
    (b"\x1c\x00\x00\x00TFL3", "TensorFlow Lite: python -m tf2onnx.convert --tflite"),
    (b"\x89HDF\r\n\x1a\n", 'Keras: load_model("model.onnx").export'),
])  # fmt: skip
def test_by_its_content(tmp_path: Path, head: bytes, words: str) -> None:
    assert words in refusal(folder(tmp_path, head + b"\x00" * 64, labels_txt=LINES, model_json=MODEL_JSON))
