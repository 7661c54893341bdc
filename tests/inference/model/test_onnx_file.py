"""A file that is not an ONNX graph, or whose weights are missing or elsewhere, is refused by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import helper

from inference import classifier
from inference.model import onnx_file
from tests.inference.model.loading import LINES, refusal
from tests.inference.model.model_folders import MODEL_JSON, folder, graph

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"<!DOCTYPE html><html><body>404</body></html>", "web page", id="web page"),
        pytest.param(b"\n  <html lang='en'>", "web page", id="web page after spaces"),
        pytest.param(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "git lfs pull", id="LFS pointer"
        ),
        pytest.param(b'{"error": "gone"}', "JSON text", id="JSON"),
        pytest.param(b"PK\x03\x04rest", "ZIP archive", id="archive"),
        pytest.param(b"GIF89a\xff\xff\xff\xff\xff", "not an ONNX file", id="a picture"),
        pytest.param(b"\x00" * 100, "not an ONNX file", id="zeros"),
    ],
)
def test_the_refusal_names_the_kind_of_file(tmp_path: Path, content: bytes, sentence: str) -> None:
    assert sentence in refusal(folder(tmp_path, content, labels_txt=LINES, model_json=MODEL_JSON))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, part: float) -> None:
    whole = graph().SerializeToString()
    refusal(folder(tmp_path, whole[: int(len(whole) * part)], labels_txt=LINES, model_json=MODEL_JSON))


def test_missing_weights_are_named(tmp_path: Path) -> None:
    model = graph()
    onnx.external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    folder(tmp_path, b"", labels_txt=LINES, model_json=MODEL_JSON)
    onnx.save(model, tmp_path / "model.onnx")
    version = classifier.load(tmp_path).model.version
    content = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(content[:-4] + np.float32(5).tobytes())
    assert classifier.load(tmp_path).model.version != version, "the weights are part of the model"
    (tmp_path / "weights.bin").unlink()
    assert "weights.bin" in refusal(tmp_path)


@pytest.mark.parametrize("place", ["/dev/zero", "../weights.bin", "pipe"])
def test_weights_elsewhere_are_refused_before_they_are_read(tmp_path: Path, place: str) -> None:
    """A hostile graph may name a device or a pipe, which never ends, or another file of the machine."""
    model = graph()
    onnx.external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    folder(tmp_path / "model", b"", labels_txt=LINES, model_json=MODEL_JSON)
    onnx.save(model, tmp_path / "model" / "model.onnx")
    (tmp_path / "model" / "weights.bin").rename(tmp_path / "weights.bin")
    if hasattr(os, "mkfifo"):  # not on Windows, where the file is missing instead
        os.mkfifo(tmp_path / "model" / "pipe")
    saved = onnx.load(tmp_path / "model" / "model.onnx", load_external_data=False)
    for tensor in saved.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = place
    (tmp_path / "model" / "model.onnx").write_bytes(saved.SerializeToString())
    assert "keeps its weights in" in refusal(tmp_path / "model")


def test_finds_an_8_bit_operator_in_a_body_and_in_a_function(tmp_path: Path) -> None:
    node, path = helper.make_node, tmp_path / "model.onnx"
    path.write_bytes(graph().SerializeToString())
    assert not onnx_file.read(path).is_quantized

    body = helper.make_graph([node("DynamicQuantizeLinear", ["step0"], ["a", "b", "c"])], "body", [], [])
    inside = graph()
    inside.graph.node.append(node("If", ["condition"], [], then_branch=body, else_branch=body))
    path.write_bytes(inside.SerializeToString())
    assert onnx_file.read(path).is_quantized

    called = graph()
    called.functions.append(
        helper.make_function("local", "Sum8", ["a", "b"], ["c"], [node("MatMulInteger", ["a", "b"], ["c"])], [])
    )
    path.write_bytes(called.SerializeToString())
    assert onnx_file.read(path).is_quantized
