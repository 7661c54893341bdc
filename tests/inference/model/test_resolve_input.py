"""The input: stated values and the graph's own shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image

from inference import classifier
from inference.errors import ModelError
from inference.model_spec import Activation, Align, ColorOrder, Layout
from tests.inference.model.loading import (
    LINES,
    NAMES,
    assert_distinguishes_colours,
    preprocess_alone,
    refusal,
    spec_of,
    tensor,
    with_input,
)
from tests.inference.model.model_folders import FLOAT16, GREEN, MODEL_JSON, UINT8, folder, graph, noise, png

if TYPE_CHECKING:
    from pathlib import Path

TORCHVISION = {
    "input": {
        "color_order": "RGB", "resize": "shortest_side_crop", "shortest_side": 9, "scale": 1 / 255,
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    },
    "output": {"activation": "softmax"},
}  # fmt: skip


@pytest.mark.parametrize("labels", [NAMES, {"0": "red", "1": "green", "2": "blue"}, {"vocab": NAMES}], ids=str)
def test_a_pytorch_export_needs_labels_and_a_model_json(tmp_path: Path, labels: Any) -> None:
    assert_distinguishes_colours(folder(tmp_path, graph(), labels_json=labels, model_json=TORCHVISION))


def test_the_refusal_lists_every_missing_value(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as refusal:
        classifier.load(folder(tmp_path, graph(), labels_json=NAMES))
    message = str(refusal.value)
    assert "colour order" in message
    assert '"scale"' in message
    assert '"resize"' in message
    assert "preprocessor_config.json" in message
    assert "\n" not in message


MINUS_ONE_TO_ONE = {"input": {"color_order": "RGB", "resize": "squash", "scale": 1 / 127.5, "mean": 1}}


def test_a_tf2onnx_export_is_nhwc_and_needs_a_model_json(tmp_path: Path) -> None:
    model = graph(shape=("unk__1", 8, 8, 3), layout="NHWC", operators=("Softmax",))
    path = folder(tmp_path, model, labels_txt=LINES)
    with pytest.raises(ModelError, match=r"colour order.*fitted.*scale"):
        classifier.load(path)
    folder(tmp_path, model, model_json=MINUS_ONE_TO_ONE)
    assert_distinguishes_colours(path)
    spec = classifier.load(path).spec
    assert spec.input.layout is Layout.NHWC
    assert spec.output.activation is Activation.NONE
    expected = np.asarray(noise(8, 8)) / 127.5 - 1
    np.testing.assert_allclose(tensor(path, noise(8, 8)), expected, atol=1e-5)


def test_mean_first_is_converted(tmp_path: Path) -> None:
    model_json = {
        "input": {
            "color_order": "RGB",
            "resize": "squash",
            "scale": 1 / 127.5,
            "mean": 127.5,
            "order": "mean_first",
        },
        "output": {"activation": "softmax"},
    }
    path = folder(tmp_path, graph(), labels_txt=LINES, model_json=model_json)
    np.testing.assert_allclose(
        tensor(path, noise(8, 8)), (np.asarray(noise(8, 8)).transpose(2, 0, 1) - 127.5) / 127.5, atol=1e-5
    )


def test_a_uint8_input_takes_the_pixels_themselves(tmp_path: Path) -> None:
    model_json = {"input": {"color_order": "RGB", "resize": "squash"}}
    model = graph(shape=(1, 8, 8, 3), layout="NHWC", dtype=UINT8, operators=["Softmax"])
    path = folder(tmp_path, model, labels_txt=LINES, model_json=model_json)
    assert_distinguishes_colours(path)
    assert tensor(path, noise(8, 8)).dtype == np.uint8


@pytest.mark.parametrize(
    "shape",
    [("N", 3, 8, 8), (1, 3, 8, 8), (4, 3, 8, 8), ("anything", 3, 8, 8), (None, 3, 8, 8), (3, 8, 8)],
    ids=str,
)
def test_any_batch_axis(tmp_path: Path, shape: tuple[Any, ...]) -> None:
    output = (3,) if len(shape) == 3 else None
    path = folder(tmp_path, graph(shape=shape, output_shape=output), labels_txt=LINES, model_json=MODEL_JSON)
    assert_distinguishes_colours(path)


def test_one_channel_is_grey(tmp_path: Path) -> None:
    model_json = {"input": {"scale": 1, "resize": "squash"}}
    model = graph(shape=("N", 1, 8, 8), classes=2, operators=["Softmax"])
    path = folder(tmp_path, model, labels_txt="light\ndark", model_json=model_json)
    loaded = classifier.load(path)
    assert loaded.spec.input.color_order is ColorOrder.GREY
    assert loaded.classify(png((255, 255, 255))).label == "light"
    green = Image.new("RGB", (8, 8), GREEN).convert("L")
    np.testing.assert_allclose(preprocess_alone(loaded.spec.input, green), 150, atol=0.5)


def test_float16_in_and_out(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(dtype=FLOAT16), labels_txt=LINES, model_json=MODEL_JSON)
    assert_distinguishes_colours(path)


def test_dynamic_size_is_taken_from_model_json(tmp_path: Path) -> None:
    model_json = with_input(size=[16, 24], layout="NCHW")
    path = folder(tmp_path, graph(shape=("N", 3, "h", "w")), labels_txt=LINES, model_json=model_json)
    assert tensor(path, noise(50, 40)).shape == (3, 16, 24)


def test_an_input_of_another_type_is_refused(tmp_path: Path) -> None:
    model = graph()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    assert "int64" in refusal(folder(tmp_path, model, labels_txt=LINES, model_json=MODEL_JSON))


def test_a_scale_that_leaves_a_uint8_input_zeros_and_ones_is_refused(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [{"scale": 1 / 255}, {"scale": 1 / 127.5, "mean": 1}, {"scale": 1, "mean": 128}]
    for number, change in enumerate(changes):
        path = folder(tmp_path / str(number), graph(dtype=UINT8), labels_txt=LINES, model_json=with_input(**change))
        assert "is uint8 and takes whole numbers from 0 to 255" in refusal(path)


def test_antialias_and_align_are_read(tmp_path: Path) -> None:
    path = folder(
        tmp_path,
        graph(),
        labels_txt=LINES,
        model_json=with_input(antialias=False, resize="letterbox", align="top_left"),
    )
    spec = spec_of(path)
    assert (spec.antialias, spec.align) == (False, Align.TOP_LEFT)
    plain = spec_of(folder(tmp_path / "plain", graph(), labels_txt=LINES, model_json=MODEL_JSON))
    assert (plain.antialias, plain.align) == (True, Align.CENTER)
    version = classifier.load(path).model.version
    assert classifier.load(tmp_path / "plain").model.version != version


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"antialias": False, "interpolation": "bicubic"}, "is supported for bilinear only"),
        ({"antialias": False, "interpolation": "box"}, "is supported for bilinear only"),
        ({"align": "top_left"}, "only a letterbox has padding"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(folder(tmp_path, graph(), labels_txt=LINES, model_json=with_input(**changes)))


def test_nearest_never_averages(tmp_path: Path) -> None:
    stated = with_input(antialias=False, interpolation="nearest")
    path = folder(tmp_path, graph(), labels_txt=LINES, model_json=stated)
    version = classifier.load(path).model.version
    folder(path, graph(), model_json=with_input(interpolation="nearest"))
    assert classifier.load(path).model.version == version
