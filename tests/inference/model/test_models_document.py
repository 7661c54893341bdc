"""The JSON that ``docs/models.md`` shows works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from onnx import TensorProto

from tests.inference.model.loading import LINES, assert_distinguishes_colours
from tests.inference.model.model_folders import folder, graph, integers_without_a_scale

BLOCKS = re.findall(
    r"```json\n(.+?)```",
    (Path(__file__).resolve().parents[3] / "docs" / "models.md").read_text(encoding="utf-8"),
    re.DOTALL,
)


@pytest.mark.parametrize("block", BLOCKS, ids=["everything", "preset", "PyTorch", "TensorFlow", "TensorFlow Lite"])
def test_each_model_json_of_the_document_is_enough(tmp_path: Path, block: str) -> None:
    if "quantization" in block:
        model = integers_without_a_scale(TensorProto.INT8, TensorProto.INT8)
    else:
        model = graph(shape=("N", 3, 224, 224), operators=() if "activation" in block else ["Softmax"])
    assert_distinguishes_colours(folder(tmp_path, model, labels_txt=LINES, model_json=block))
