"""A graph with another number of inputs than one is refused with the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from onnx import TensorProto, helper

from tests.inference.model.loading import LINES, refusal
from tests.inference.model.model_folders import MODEL_JSON, folder, graph

if TYPE_CHECKING:
    from pathlib import Path

KERAS = {"efficientnetb0/normalization/Sub/y:0": [1, 1, 1, 3], "efficientnetb0/normalization/Sqrt/x:0": [1, 1, 1, 3]}


@pytest.mark.parametrize(("extra", "sentence"), [
    (KERAS, "are constants or switches that the exporter left open, as tf2onnx does for Keras's EfficientNet"),
    ({"keras_learning_phase": []}, "keras_learning_phase is a constant or a switch"),
    ({"mean": [3], "std": [3]}, "mean, std are constants or switches"),
    ({"input_ids": ["N", 77], "attention_mask": ["N", 77]}, "it reads text too"),
    ({"second_photo": ["N", 3, 8, 8]}, "export the model so that it needs nothing but one photo"),
    ({"metadata": ["N", "features"], "other": ["N", 3, "h", "w"]}, "nothing but one photo"),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("first", [True, False], ids=["photo first", "photo last"])
def test_each_kind_of_second_input(tmp_path: Path, extra: dict[str, Any], sentence: str, first: bool) -> None:  # noqa: FBT001 - a parameter
    model = graph()
    photo = model.graph.input[0]
    others = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in extra.items()]
    inputs = [photo, *others] if first else [*others, photo]
    kept = [helper.make_tensor_value_info(each.name, 1, None) for each in inputs]
    for new, old in zip(kept, inputs, strict=True):
        new.CopyFrom(old)
    del model.graph.input[:]
    model.graph.input.extend(kept)
    message = refusal(folder(tmp_path, model, labels_txt=LINES, model_json=MODEL_JSON))
    assert f"has {len(inputs)} inputs" in message
    assert sentence in message
    assert all(name in message for name in extra)
    if extra is KERAS:
        assert "python -m tf2onnx.convert --saved-model exported --output model.onnx" in message
