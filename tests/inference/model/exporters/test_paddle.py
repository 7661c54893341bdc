"""PaddleClas and PaddleX: ``inference.yml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from inference import classifier
from tests.inference.model.loading import LINES, NAMES, assert_distinguishes_colours, refusal, tensor
from tests.inference.model.model_folders import MODEL_JSON, folder, graph, noise

if TYPE_CHECKING:
    from pathlib import Path

TRANSFORMS = """\
  - ResizeImage:
      resize_short: 9
  - CropImage:
      size: 8
  - NormalizeImage:
      channel_num: 3
      mean:
      - 0.485
      - 0.456
      - 0.406
      order: ''
      scale: 0.00392156862745098
      std:
      - 0.229
      - 0.224
      - 0.225
  - ToCHWImage: null
"""
TOPK = """\
PostProcess:
  Topk:
    topk: 5
    label_list:
    - red
    - green
    - blue
"""


def document(transforms: str = TRANSFORMS, postprocess: str = TOPK) -> str:
    """Return an ``inference.yml`` as PaddleX writes it, with aliases."""
    return (
        "Global:\n  model_name: PP-LCNet_x1_0\n"
        "Hpi:\n  backend_configs:\n    paddle_infer:\n      trt_dynamic_shapes: &id001\n        x:\n        - - 1\n"
        "          - 3\n    tensorrt:\n      dynamic_shapes: *id001\n"
        f"{postprocess}PreProcess:\n  transform_ops:\n{transforms}"
    )


def test_an_export_needs_nothing_else(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(operators=("Softmax",)), inference_yml=document())
    assert_distinguishes_colours(path)
    spec = classifier.load(path).spec
    assert (spec.input.resize, spec.input.resized_height, spec.input.crop_rounding) == (
        "shortest_side_crop",
        9,
        "floor",
    )
    assert spec.input.antialias is False, "OpenCV"
    assert spec.values["labels"].source == "inference.yml: PostProcess.Topk.label_list"


@pytest.mark.parametrize("scale", ["1.0/255.0", "'1./255.'", "1/255", "0.00392156862745098", '"1.0 / 255.0"'])
def test_the_tensor_is_paddles(tmp_path: Path, scale: str) -> None:
    transforms = f"""\
  - DecodeImage: {{to_rgb: True, channel_first: False}}
  - ResizeImage: {{size: [8, 8], backend: pil}}  # [width, height]
  - NormalizeImage: {{scale: {scale}, mean: [0.5, 0.4, 0.3], std: [0.1, 0.2, 0.3], order: ''}}
  - ToCHWImage:
"""
    path = folder(tmp_path, graph(operators=("Softmax",)), inference_yml=document(transforms))
    image = noise(8, 8)
    expected = (np.asarray(image) / 255 - [0.5, 0.4, 0.3]) / [0.1, 0.2, 0.3]
    np.testing.assert_allclose(tensor(path, image), expected.transpose(2, 0, 1), atol=1e-5)


@pytest.mark.parametrize(("width", "height"), [(37, 21), (31, 21), (21, 31), (40, 30)], ids=str)
def test_the_crop_is_paddles(tmp_path: Path, width: int, height: int) -> None:
    """``ResizeImage`` rounds both sides and ``CropImage`` floors its offsets."""
    transforms = TRANSFORMS.replace("resize_short: 9", "resize_short: 9\n      backend: pil")
    path = folder(tmp_path, graph(operators=("Softmax",)), inference_yml=document(transforms))
    image = noise(width, height)
    percent = 9 / min(width, height)
    resized = image.resize((round(width * percent), round(height * percent)), Image.Resampling.BILINEAR)
    left, top = (resized.width - 8) // 2, (resized.height - 8) // 2
    pixels = np.asarray(resized.crop((left, top, left + 8, top + 8))) / 255
    expected = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(tensor(path, image), expected.transpose(2, 0, 1), atol=1e-5)


def test_the_defaults_of_normalize_image_are_imagenets(tmp_path: Path) -> None:
    transforms = "  - ResizeImage: {size: 8}\n  - NormalizeImage:\n  - ToCHWImage:\n"
    path = folder(tmp_path, graph(operators=("Softmax",)), inference_yml=document(transforms))
    spec = classifier.load(path).spec.input
    assert (spec.scale, spec.mean, spec.std) == (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_bgr_a_size_that_is_no_square_and_area(tmp_path: Path) -> None:
    transforms = """\
  - DecodeImage: {img_mode: BGR}
  - ResizeImage: {size: [160, 80], interpolation: AREA}
  - NormalizeImage: {scale: 1.0, mean: [0, 0, 0], std: [1, 1, 1]}
  - ToCHWImage:
"""
    path = folder(tmp_path, graph(shape=("N", 3, "h", "w"), operators=("Softmax",)), inference_yml=document(transforms))
    spec = classifier.load(path).spec.input
    assert (spec.height, spec.width, spec.color_order, spec.interpolation) == (80, 160, "BGR", "box")


@pytest.mark.parametrize(
    ("postprocess", "activation"),
    [
        ("PostProcess:\n  Topk: {topk: 1, label_list: [red, green, blue]}\n", "softmax"),
        ("PostProcess:\n  name: Topk\n  topk: 1\n  label_list: {0: red, 1: green, 2: blue}\n", "softmax"),
        ("PostProcess:\n  MultiLabelThreshOutput: {threshold: 0.5, label_list: [red, green, blue]}\n", "sigmoid"),
        ("PostProcess:\n  main_indicator: Topk\n  Topk: {class_id_map_file: ../ppcls/my.txt}\n", "softmax"),
    ],
)
def test_postprocessing_states_labels_and_activation(tmp_path: Path, postprocess: str, activation: str) -> None:
    path = folder(tmp_path, graph(), inference_yml=document(postprocess=postprocess), my_txt="0 red\n1 green\n2 blue\n")
    spec = classifier.load(path).spec
    assert (spec.labels, str(spec.output.activation)) == (tuple(NAMES), activation)


def test_two_labels_of_a_threshold(tmp_path: Path) -> None:
    postprocess = "PostProcess:\n  ThreshOutput: {threshold: 0.9, label_0: nobody, label_1: someone}\n"
    path = folder(tmp_path, graph(classes=2, operators=("Softmax",)), inference_yml=document(postprocess=postprocess))
    assert classifier.load(path).spec.labels == ("nobody", "someone")


@pytest.mark.parametrize(
    ("transforms", "sentence"),
    [
        ("  - PadImage: {size: 8}\n", "step 'PadImage'"),
        ("  - PadImage\n", "step 'PadImage'"),
        (TRANSFORMS + "  - ResizeImage: {size: 4}\n", "a step that comes twice"),
        ("  - ResizeImage: {size: 8, interpolation: bicubic}\n", "'bicubic' of cv2"),
        (TRANSFORMS.replace("channel_num: 3", "channel_num: 4"), "channel_num '4'"),
    ],
)
def test_a_step_that_is_not_supported_is_refused_by_name(tmp_path: Path, transforms: str, sentence: str) -> None:
    path = folder(tmp_path, graph(operators=("Softmax",)), inference_yml=document(transforms))
    message = refusal(path)
    assert sentence in message
    assert "inference.yml" in message
    stated = {"input": MODEL_JSON["input"]}
    assert_distinguishes_colours(folder(path, graph(operators=("Softmax",)), model_json=stated))


def test_a_scale_that_is_no_number_is_refused(tmp_path: Path) -> None:
    transforms = TRANSFORMS.replace("0.00392156862745098", "__import__('os')")
    path = folder(tmp_path, graph(), inference_yml=document(transforms))
    assert "NormalizeImage.scale is \"__import__('os')\", which is no number" in refusal(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            document(postprocess="PostProcess:\n  name: DBPostProcess\n"),
            "PostProcess has 'DBPostProcess'",
        ),
        ("mode: paddle\narch: YOLO\nPreprocess:\n- type: Resize\nlabel_list: [a]\n", "PaddleDetection (YOLO)"),
        ("PreProcess: [", "not valid YAML"),
    ],
)
def test_other_models_are_refused_by_name(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence in refusal(folder(tmp_path, graph(), inference_yml=text, labels_txt=LINES, model_json=MODEL_JSON))


@pytest.mark.parametrize("content", ["- a\n", "name: workflow\non: push\n", ""], ids=["list", "workflow", "nothing"])
def test_another_programs_file_is_ignored(tmp_path: Path, content: str) -> None:
    path = folder(tmp_path, graph(), inference_yml=content, labels_json=NAMES, model_json=MODEL_JSON)
    assert_distinguishes_colours(path)
