"""torchvision: ``"preprocess": "torchvision/..."`` states the transform of a published weight."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from inference import classifier
from inference.model.exporters import torchvision
from inference.model_spec import Activation, CropRounding, Interpolation, ResizeMode
from tests.inference.model.loading import LINES, assert_distinguishes_colours, preprocess_alone, refusal
from tests.inference.model.model_folders import folder, graph, noise

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model_spec import ModelSpec

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def spec(path: Path, preprocess: str, size: int = 224, **model_json: Any) -> ModelSpec:
    """Load a PyTorch export: a graph of logits, labels, and a ``model.json`` that names the transform."""
    model = graph(shape=("N", 3, size, size))
    return classifier.load(
        folder(path, model, labels_txt=LINES, model_json={"preprocess": preprocess, **model_json})
    ).spec


# From ``weight.transforms()`` of torchvision 0.29.1: crop_size, resize_size, interpolation, mean, std.
@pytest.mark.parametrize(("name", "crop", "side", "interpolation", "mean", "std"), [
    ("IMAGENET1K_V1", 224, 256, "bilinear", MEAN, STD),
    ("IMAGENET1K_V2", 224, 232, "bilinear", MEAN, STD),
    ("ResNet50_Weights.IMAGENET1K_V2", 224, 232, "bilinear", MEAN, STD),
    ("ResNet50_Weights.DEFAULT", 224, 232, "bilinear", MEAN, STD),
    ("ResNet18_Weights.DEFAULT", 224, 256, "bilinear", MEAN, STD),
    ("EfficientNet_B1_Weights.IMAGENET1K_V1", 240, 256, "bicubic", MEAN, STD),
    ("EfficientNet_B1_Weights.IMAGENET1K_V2", 240, 255, "bilinear", MEAN, STD),
    ("EfficientNet_V2_L_Weights.IMAGENET1K_V1", 480, 480, "bicubic", (0.5,) * 3, (0.5,) * 3),
    ("Inception_V3_Weights.IMAGENET1K_V1", 299, 342, "bilinear", MEAN, STD),
    ("ConvNeXt_Tiny_Weights.IMAGENET1K_V1", 224, 236, "bilinear", MEAN, STD),
    ("Swin_T_Weights.IMAGENET1K_V1", 224, 232, "bicubic", MEAN, STD),
    ("Swin_V2_B_Weights.IMAGENET1K_V1", 256, 272, "bicubic", MEAN, STD),
    ("ViT_L_16_Weights.IMAGENET1K_V1", 224, 242, "bilinear", MEAN, STD),
    ("ViT_H_14_Weights.IMAGENET1K_SWAG_E2E_V1", 518, 518, "bicubic", MEAN, STD),
    ("MobileNet_V2_QuantizedWeights.IMAGENET1K_QNNPACK_V1", 224, 256, "bilinear", MEAN, STD),
])  # fmt: skip
def test_a_weight_states_its_transform(  # noqa: PLR0917 - the numbers of one transform
    tmp_path: Path, name: str, crop: int, side: int, interpolation: str, mean: Any, std: Any
) -> None:
    pixels = spec(tmp_path, f"torchvision/{name}", crop).input
    assert (pixels.height, pixels.width, pixels.resized_height) == (crop, crop, side)
    assert (pixels.interpolation, pixels.resize) == (interpolation, ResizeMode.SHORTEST_SIDE_CROP)
    assert pixels.crop_rounding is CropRounding.HALF_EVEN
    assert (pixels.scale, pixels.mean, pixels.std) == (1 / 255, mean, std)


def test_the_tensor_is_that_of_image_classification(tmp_path: Path) -> None:
    image = noise(320, 417)
    resized = np.asarray(image.resize((256, 333), Image.Resampling.BILINEAR)) / 255
    expected = (resized[54:278, 16:240] - np.array(MEAN)) / np.array(STD)  # a surplus of 109: torchvision starts at 54
    tensor = preprocess_alone(spec(tmp_path, "torchvision/IMAGENET1K_V1").input, image)
    np.testing.assert_allclose(tensor, expected.transpose(2, 0, 1), atol=1e-5)


def test_one_class_is_true_and_the_source_is_named(tmp_path: Path) -> None:
    found = spec(tmp_path, "torchvision/IMAGENET1K_V1")
    assert found.output.activation is Activation.SOFTMAX
    origin = "torchvision ResNet50_Weights.IMAGENET1K_V1 (model.json: preprocess)"
    assert found.values["input.mean"].source == origin
    assert found.values["output.activation"].source.startswith(origin)
    assert_distinguishes_colours(tmp_path)


def test_values_beside_it_override_it(tmp_path: Path) -> None:
    stated = {"mean": [0, 0, 0], "interpolation": "bicubic", "crop_pct": 0.5, "color_order": "BGR"}
    found = spec(tmp_path, "torchvision/IMAGENET1K_V1", input=stated, output={"activation": "sigmoid"})
    assert (found.input.mean, found.input.std, found.input.scale) == ((0, 0, 0), STD, 1 / 255)
    assert found.input.interpolation is Interpolation.BICUBIC
    assert (found.input.resized_height, found.input.color_order) == (448, "BGR")
    assert found.output.activation is Activation.SIGMOID
    squashed = spec(tmp_path, "torchvision/IMAGENET1K_V1", input={"resize": "squash"}).input
    assert (squashed.resize, squashed.resized_height) == (ResizeMode.SQUASH, 224)


def test_another_size_than_the_graph_s_is_refused(tmp_path: Path) -> None:
    folder(
        tmp_path,
        graph(shape=("N", 3, 240, 240)),
        labels_txt=LINES,
        model_json={"preprocess": "torchvision/IMAGENET1K_V1"},
    )
    assert "ResNet50_Weights.IMAGENET1K_V1 (model.json: preprocess) says [224, 224]" in refusal(tmp_path)


@pytest.mark.parametrize(("name", "close"), [
    ("torchvision/resnet50_weights.imagenet1k_v2", "torchvision/ResNet50_Weights.IMAGENET1K_V2"),
    ("torchvision/EfficientNet_B0_Weights.IMAGENET1K_V2", "torchvision/EfficientNet_B"),
    ("ResNet18_Weights.IMAGENET1K_V1", "torchvision/ResNet18_Weights.IMAGENET1K_V1"),
    ("timm/resnet50", "torchvision/"),
    (3, "torchvision/"),
], ids=str)  # fmt: skip
def test_an_unknown_name_is_refused_with_the_closest(tmp_path: Path, name: object, close: str) -> None:
    folder(tmp_path, graph(), labels_txt=LINES, model_json={"preprocess": name})
    assert f'such as "{close}' in refusal(tmp_path)


def test_the_table_is_complete_and_every_name_in_it_has_one_transform() -> None:
    table = json.loads(torchvision._TABLE.read_text())
    weights = [weight for transform in table["transforms"] for weight in transform["weights"]]
    assert len(weights) == len(set(weights)) == 129
    assert {f"{model}.{member}" for model, member in table["default"].items()} <= set(weights)
    assert set(table["short"].values()) <= set(weights)
    for transform in table["transforms"]:
        assert transform["resize_size"] >= transform["crop_size"]
