"""Hugging Face and Optimum: ``config.json`` and ``preprocessor_config.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from inference import classifier
from inference.errors import ModelError
from inference.model_spec import ColorOrder, ResizeMode
from tests.inference.model.loading import assert_distinguishes_colours, refusal, spec_of, tensor
from tests.inference.model.model_folders import RED, folder, graph, noise, png

if TYPE_CHECKING:
    from pathlib import Path

OPTIMUM_SHAPE = ("batch_size", "num_channels", "height", "width")
ID2LABEL = {"id2label": {"0": "red", "1": "green", "2": "blue"}, "model_type": "vit"}
VIT = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 8, "width": 8},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 0.00392156862745098,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def hugging_face(path: Path, processor: dict[str, Any], config: dict[str, Any] | None = None, **kind: Any) -> Path:
    model = graph(**{"shape": OPTIMUM_SHAPE, "input_name": "pixel_values", "output_shape": ("batch_size", 3), **kind})
    return folder(path, model, config_json=config or ID2LABEL, preprocessor_config_json=processor)


def test_a_vit_as_optimum_exports_it(tmp_path: Path) -> None:
    path = hugging_face(tmp_path, VIT)
    assert_distinguishes_colours(path)
    image = noise(8, 8)
    expected = (np.asarray(image) / 255 - np.array(VIT["image_mean"])) / np.array(VIT["image_std"])
    np.testing.assert_allclose(tensor(path, image), expected.transpose(2, 0, 1), atol=1e-5)


def test_graph_in_the_onnx_folder_and_the_newer_processor_file(tmp_path: Path) -> None:
    path = folder(
        tmp_path,
        graph(shape=OPTIMUM_SHAPE),
        name="onnx/model.onnx",
        config_json=ID2LABEL,
        processor_config_json={"image_processor": VIT, "processor_class": "ViTProcessor"},
    )
    assert_distinguishes_colours(path)


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        pytest.param({"size": 8}, (ResizeMode.SQUASH, 8, 8), id="a number is a square to ViT"),
        pytest.param({"size": [8, 8]}, (ResizeMode.SQUASH, 8, 8), id="a pair"),
        pytest.param(
            {"image_processor_type": "DeiTImageProcessor", "size": {"height": 10, "width": 10}, "crop_size": 8,
             "do_center_crop": True},
            (ResizeMode.SQUASH, 8, 10), id="DeiT squashes, then crops",
        ),
        pytest.param(
            {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 9}, "crop_size":
             {"height": 8, "width": 8}},
            (ResizeMode.SHORTEST_SIDE_CROP, 8, 9), id="shortest edge and crop",
        ),
        pytest.param(
            {"feature_extractor_type": "CLIPFeatureExtractor", "image_processor_type": None, "size": 9,
             "crop_size": 8, "do_center_crop": True},
            (ResizeMode.SHORTEST_SIDE_CROP, 8, 9), id="a number is the shortest edge to CLIP",
        ),
        pytest.param(
            {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}, "crop_pct": 0.875},
            (ResizeMode.SHORTEST_SIDE_CROP, 224, 256), id="ConvNext enlarges by crop_pct",
        ),
        pytest.param(
            {"image_processor_type": "ConvNextImageProcessorFast", "size": {"shortest_edge": 384}},
            (ResizeMode.SQUASH, 384, 384), id="ConvNext squashes from 384 on",
        ),
        pytest.param(
            {"image_processor_type": "LevitImageProcessor", "size": {"shortest_edge": 224}, "crop_size":
             {"height": 224, "width": 224}},
            (ResizeMode.SHORTEST_SIDE_CROP, 224, 256), id="Levit enlarges by 256/224",
        ),
        pytest.param(
            {"image_processor_type": "PoolFormerImageProcessor", "size": {"shortest_edge": 224}, "crop_pct": 0.9,
             "crop_size": {"height": 224, "width": 224}},
            (ResizeMode.SHORTEST_SIDE_CROP, 224, 248), id="PoolFormer enlarges by crop_pct",
        ),
        pytest.param(
            {"size": {"height": 8, "width": 8}, "crop_size": {"height": 6, "width": 6}, "do_center_crop": False},
            (ResizeMode.SQUASH, 8, 8), id="a crop that is switched off",
        ),
    ],
)  # fmt: skip
def test_size_and_crop_follow_the_rule_of_the_processor(
    tmp_path: Path, processor: dict[str, Any], expected: tuple[ResizeMode, int, int]
) -> None:
    spec = spec_of(hugging_face(tmp_path, VIT | processor))
    assert (spec.resize, spec.height, spec.resized_height) == expected
    assert (spec.width, spec.resized_width) == expected[1:]


@pytest.mark.parametrize("resample", [0, 1, 2, 3, 4, 5])
def test_resample_is_pillows_number(tmp_path: Path, resample: int) -> None:
    spec = spec_of(hugging_face(tmp_path, VIT | {"resample": resample}))
    assert Image.Resampling(resample).name == spec.interpolation.name


@pytest.mark.parametrize(
    ("changes", "black", "white"),
    [
        pytest.param({"do_normalize": False}, 0, 1, id="rescale only"),
        pytest.param({"do_normalize": False, "do_rescale": False}, 0, 255, id="neither"),
        pytest.param({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}, -1, 1, id="-1 to 1"),
        pytest.param({"do_rescale": False, "image_mean": 127.5, "image_std": 127.5}, -1, 1, id="mean of pixels"),
        pytest.param({"do_rescale": None, "rescale_factor": None, "do_normalize": False}, 0, 1, id="absent"),
        pytest.param(
            {"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False}, -1, 1, id="rescale offset"
        ),
        pytest.param(
            {"image_processor_type": "EfficientNetImageProcessor", "image_mean": [0] * 3, "image_std": [0.5] * 3},
            0, 4, id="EfficientNet divides by std twice",
        ),
    ],
)  # fmt: skip
def test_rescale_and_normalize(tmp_path: Path, changes: dict[str, Any], black: float, white: float) -> None:
    path = hugging_face(tmp_path, VIT | changes)
    np.testing.assert_allclose(tensor(path, Image.new("RGB", (8, 8), "black")), black, atol=1e-5)
    np.testing.assert_allclose(tensor(path, Image.new("RGB", (8, 8), "white")), white, atol=1e-5)


def test_flipped_channels_are_bgr(tmp_path: Path) -> None:
    path = hugging_face(tmp_path, VIT | {"do_flip_channel_order": True, "do_normalize": False})
    assert spec_of(path).color_order is ColorOrder.BGR
    assert classifier.load(path).classify(png(RED)).label == "blue"


def test_multi_label_is_sigmoid(tmp_path: Path) -> None:
    path = hugging_face(tmp_path, VIT, ID2LABEL | {"problem_type": "multi_label_classification"})
    answer = classifier.load(path).classify(png((255, 255, 255)))
    assert sum(prediction.score for prediction in answer.predictions) > 2


def test_normalization_without_a_mean_is_asked_with_all_else(tmp_path: Path) -> None:
    processor = {key: value for key, value in VIT.items() if key != "image_mean"}
    path = folder(tmp_path, graph(shape=OPTIMUM_SHAPE), preprocessor_config_json=processor)
    message = refusal(path)
    assert "normalises, but has no image_mean" in message
    assert message.endswith(': {"labels": "?", "input": {"scale": "?", "mean": "?", "std": "?"}}')


def test_the_logits_of_a_distilled_model_are_its_scores(tmp_path: Path) -> None:
    model = graph(shape=OPTIMUM_SHAPE)
    model.graph.output.append(model.graph.output[0].__class__())
    model.graph.output[1].CopyFrom(model.graph.output[0])
    model.graph.output[1].name = "cls_logits"
    model.graph.node.add(op_type="Neg", input=["logits"], output=["cls_logits"])
    path = folder(tmp_path, model, config_json=ID2LABEL, preprocessor_config_json=VIT)
    assert_distinguishes_colours(path)


MOBILEVIT = {
    "do_center_crop": True,
    "crop_size": {"height": 8, "width": 8},
    "size": {"shortest_edge": 6},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
}


@pytest.mark.parametrize("by_type", [False, True], ids=["image_processor_type", "model_type"])
def test_mobilevit_never_normalises_and_pads_a_small_image(tmp_path: Path, by_type: bool) -> None:  # noqa: FBT001
    stated = {} if by_type else {"image_processor_type": "MobileViTImageProcessor"}
    path = hugging_face(tmp_path, MOBILEVIT | stated, ID2LABEL | {"model_type": "mobilevit"})
    image = noise(6, 6)
    expected = np.zeros((8, 8, 3))
    expected[1:7, 1:7] = np.asarray(image)[:, :, ::-1] / 255
    np.testing.assert_allclose(tensor(path, image), expected.transpose(2, 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("model_type", "processor"),
    [("resnet", "ConvNext"), ("dinov2", "Bit"), ("swin", "ViT"), ("perceiver", "Perceiver")],
)
def test_model_type_decides_without_a_processor_type(tmp_path: Path, model_type: str, processor: str) -> None:
    plain: dict[str, Any] = {key: value for key, value in VIT.items() if key != "image_processor_type"}
    if processor == "ConvNext":
        plain |= {"size": {"shortest_edge": 8}, "crop_pct": 0.5}
    if processor in ("Bit", "Perceiver"):
        plain |= {"crop_size": {"height": 8, "width": 8}, "do_center_crop": True}
    inferred = hugging_face(tmp_path / "inferred", plain, ID2LABEL | {"model_type": model_type})
    stated = hugging_face(tmp_path / "stated", plain | {"image_processor_type": f"{processor}ImageProcessor"})
    assert spec_of(inferred) == spec_of(stated)


def test_an_unsupported_processor_is_refused_by_name(tmp_path: Path) -> None:
    plain = {key: value for key, value in VIT.items() if key != "image_processor_type"}
    for number, (processor, config, name) in enumerate(
        [
            (VIT | {"image_processor_type": "DonutImageProcessor"}, ID2LABEL, "DonutImageProcessor"),
            (plain, ID2LABEL | {"model_type": "donut-swin"}, "donut-swin"),
            (VIT | {"do_pad": True}, ID2LABEL, "do_pad"),
        ]
    ):
        path = hugging_face(tmp_path / str(number), processor, config)
        with pytest.raises(ModelError, match=name):
            classifier.load(path)


def test_perceiver_crops_before_it_resizes(tmp_path: Path) -> None:
    path = hugging_face(
        tmp_path,
        VIT
        | {
            "image_processor_type": "PerceiverImageProcessor",
            "do_center_crop": True,
            "crop_size": {"height": 16, "width": 16},
        },
    )
    assert (spec_of(path).resize, spec_of(path).resized_height) == (ResizeMode.SHORTEST_SIDE_CROP, 16)


def test_label2id_is_read_from_name_to_index(tmp_path: Path) -> None:
    config = {"model_type": "vit", "label2id": {"2": 0, "0": 1, "1": 2}}
    assert classifier.load(hugging_face(tmp_path, VIT, config)).classify(png(RED)).label == "2"
