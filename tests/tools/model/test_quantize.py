"""``model quantize`` writes an int8 copy and compares the two."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference import classifier
from tests.inference.model.model_folders import FLOAT, GREEN, PIXELS_JSON, folder, png
from tests.tools.model.model_command import LINES, run_model

if TYPE_CHECKING:
    from pathlib import Path


def convolution() -> onnx.ModelProto:
    """Build a small network with weights that int8 can shrink. Class n is the mean of channel n."""
    rng = np.random.default_rng(3)
    kernel = np.zeros((16, 3, 3, 3), np.float32)
    kernel[range(3), range(3), 1, 1] = 1
    kernel += rng.normal(0, 0.01, kernel.shape).astype(np.float32)
    head = np.concatenate([np.eye(3, dtype=np.float32) * 8, np.zeros((13, 3), np.float32)])
    constants = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(head, "head")]
    nodes = [
        helper.make_node("Conv", ["input", "kernel"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"]),
    ]
    value = helper.make_tensor_value_info
    network = helper.make_graph(
        nodes,
        "small",
        [value("input", FLOAT, ["N", 3, 16, 16])],
        [value("scores", TensorProto.FLOAT, ["N", 3])],
        constants,
    )
    return helper.make_model(network, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.model.quantize._COMPARE_SECONDS", 0.05)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return folder(tmp_path / "net", convolution(), labels_txt=LINES, model_json=PIXELS_JSON)


def test_writes_an_int8_copy_with_the_same_answers(network: Path, photos: Path) -> None:
    run = run_model("quantize", network, "--calibrate", photos, "--json")
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert (report["images"], report["top_1_agreement"]) == (3, 1)
    assert report["largest_score_difference"] < 0.05
    assert report["speed_ratio"] > 0
    copy = network.with_name("net-int8")
    operators = {node.op_type for node in onnx.load(copy / "model.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators
    weights = [numpy_helper.to_array(each) for each in onnx.load(copy / "model.onnx").graph.initializer]
    assert max(np.abs(each.astype(int)).max() for each in weights if each.dtype == np.int8) <= 64, "7 bits"
    quantized = classifier.load(copy)
    assert quantized.model.name == "net-int8"
    assert quantized.classify(png(GREEN)).label == "green"


def test_calibrates_with_the_app_s_preprocessing(network: Path, photos: Path) -> None:
    """The range of the first activation is that of normalized pixels, 0 to 1, and not of bytes."""
    run_model("quantize", network, "--calibrate", photos)
    content = onnx.load(network.with_name("net-int8") / "model.onnx").graph
    constants = {each.name: numpy_helper.to_array(each) for each in content.initializer}
    first = next(node for node in content.node if node.op_type == "QuantizeLinear" and node.input[0] == "input")
    assert constants[first.input[1]] == pytest.approx(1 / 255, rel=0.02)
    assert constants[first.input[2]].dtype == np.uint8


def test_reports_and_skips_a_file_that_is_not_an_image(network: Path, photos: Path) -> None:
    (photos / "notes.txt").write_text("no picture")
    run = run_model("quantize", network, "--calibrate", photos)
    assert run.returncode == 0
    assert "notes.txt is left out" in run.stderr
    assert "Calibrating on 3 images" in run.stderr
    assert "3 of 3 images" in run.stdout


def test_refuses_a_folder_without_images(network: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = run_model("quantize", network, "--calibrate", tmp_path / "empty")
    assert run.returncode == 2
    assert not network.with_name("net-int8").exists()


def test_refuses_a_quantized_model(network: Path, photos: Path) -> None:
    run_model("quantize", network, "--calibrate", photos)
    run = run_model("quantize", network.with_name("net-int8"), "--calibrate", photos)
    assert run.returncode == 2
    assert "quantized already" in run.stderr
