"""MMDeploy: ``pipeline.json`` and the files beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from inference import classifier
from tests.inference.model.loading import LINES, NAMES, assert_distinguishes_colours, refusal, tensor
from tests.inference.model.model_folders import MODEL_JSON, folder, graph, noise

if TYPE_CHECKING:
    from pathlib import Path

LOAD = {"type": "LoadImageFromFile"}
EDGE = {"type": "Resize", "keep_ratio": True, "size": [9, -1]}
CROP = {"type": "CenterCrop", "crop_size": 8}
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
NORMALIZE = {"type": "Normalize", "mean": MEAN, "std": STD, "to_rgb": True}
END = [{"type": "ImageToTensor", "keys": ["img"]}, {"type": "Collect", "keys": ["img"], "meta_keys": ["ori_shape"]}]


def pipeline(*steps: dict[str, Any], **post: Any) -> dict[str, Any]:
    """Return what ``export2SDK`` writes, with these steps of preprocessing."""
    head = {
        "type": "Task", "module": "mmpretrain", "name": "postprocess", "component": "LinearClsHead",
        "params": {"num_classes": 3, "topk": 1}, "output": ["post_output"], "input": ["infer_output"],
    } | post  # fmt: skip
    return {
        "pipeline": {
            "input": ["img"],
            "output": ["post_output"],
            "tasks": [
                {"type": "Task", "module": "Transform", "name": "Preprocess", "input": ["img"],
                 "output": ["prep_output"], "transforms": [*steps, *END]},
                {"name": "resnet", "type": "Task", "module": "Net", "input": ["prep_output"],
                 "output": ["infer_output"], "input_map": {"img": "input"}},
                head,
            ],
        }
    }  # fmt: skip


DEPLOY = {
    "version": "1.3.1", "task": "Classifier", "customs": [],
    "models": [{"name": "resnet", "net": "end2end.onnx", "weights": "", "backend": "onnxruntime", "batch_size": 1}],
}  # fmt: skip


def test_an_export_needs_labels_only(tmp_path: Path) -> None:
    path = folder(
        tmp_path, graph(), "end2end.onnx", pipeline_json=pipeline(LOAD, EDGE, CROP, NORMALIZE), deploy_json=DEPLOY
    )
    message = refusal(path)
    assert message.endswith(': {"labels": "?"}')
    folder(path, graph(), "other.onnx", labels_txt=LINES)
    assert_distinguishes_colours(path)
    spec = classifier.load(path).spec
    assert spec.graph.name == "end2end.onnx", "deploy.json names it"
    assert (spec.input.resize, spec.input.resized_height, spec.input.crop_rounding) == (
        "shortest_side_crop", 9, "half_even",
    )  # fmt: skip
    assert spec.input.antialias is False, "OpenCV"
    assert str(spec.output.activation) == "softmax"
    assert spec.values["output.activation"].source == "pipeline.json: LinearClsHead"


@pytest.mark.parametrize("to_rgb", [True, False])
def test_mean_and_std_are_for_pixels_in_the_order_of_the_tensor(tmp_path: Path, *, to_rgb: bool) -> None:
    steps = (LOAD, {"type": "Resize", "size": [8, 8]}, NORMALIZE | {"to_rgb": to_rgb})
    path = folder(tmp_path, graph(), pipeline_json=pipeline(*steps), labels_txt=LINES)
    image = noise(8, 8)
    pixels = np.asarray(image, np.float64) if to_rgb else np.asarray(image, np.float64)[:, :, ::-1]
    expected = (pixels - MEAN) / STD
    np.testing.assert_allclose(tensor(path, image), expected.transpose(2, 0, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([{"type": "Resize", "size": 10}, CROP], ("squash", 10, 10), id="squash and crop"),
        pytest.param([{"type": "Resize", "size": [8, 8]}], ("squash", 8, 8), id="squash"),
        pytest.param([{"type": "mmpretrain.ResizeEdge", "scale": 9, "edge": "short"},
                      {"type": "CenterCrop", "crop_size": [8, 8]}], ("shortest_side_crop", 9, 9), id="with a package"),
        pytest.param([{"type": "Resize", "size": [-1, 12]}, CROP], ("shortest_side_crop", 12, 12), id="-1 first"),
        pytest.param([{"type": "Resize", "keep_ratio": True, "size": [9, 9], "scale": 9, "edge": "short"}, CROP],
                     ("shortest_side_crop", 9, 9), id="an edge written as a square"),
    ],
)  # fmt: skip
def test_resizes(tmp_path: Path, steps: list[dict[str, Any]], expected: tuple[str, int, int]) -> None:
    path = folder(tmp_path, graph(), pipeline_json=pipeline(LOAD, *steps, NORMALIZE), labels_txt=LINES)
    spec = classifier.load(path).spec.input
    assert (spec.resize, spec.resized_height, spec.resized_width) == expected


def test_pillow_antialiases(tmp_path: Path) -> None:
    resize = EDGE | {"backend": "pillow", "interpolation": "bicubic"}
    path = folder(tmp_path, graph(), pipeline_json=pipeline(LOAD, resize, CROP, NORMALIZE), labels_txt=LINES)
    spec = classifier.load(path).spec
    assert spec.input.interpolation == "bicubic"
    assert spec.input.antialias


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (pipeline(LOAD, EDGE, {"type": "FiveCrop"}, NORMALIZE), "transform 'FiveCrop'"),
        (pipeline(LOAD, EDGE, NORMALIZE), "Resize that keeps the ratio"),
        (pipeline(LOAD, EDGE | {"size": [9, 9]}, CROP, NORMALIZE), "Resize that keeps the ratio"),
        (pipeline(LOAD, EDGE | {"size": [9, 9], "edge": "long"}, CROP, NORMALIZE), "Resize that keeps the ratio"),
        (pipeline(LOAD, EDGE | {"interpolation": "bicubic"}, CROP, NORMALIZE), "'bicubic' of cv2"),
        (pipeline(LOAD, EDGE, CROP | {"efficientnet_style": True}, NORMALIZE), "efficientnet_style"),
        (pipeline(LOAD, EDGE, EDGE, CROP, NORMALIZE), "comes twice"),
    ],
)
def test_a_step_that_is_not_supported_is_refused_by_name(
    tmp_path: Path, document: dict[str, Any], sentence: str
) -> None:
    path = folder(tmp_path, graph(), pipeline_json=document, labels_txt=LINES)
    message = refusal(path)
    assert "pipeline.json" in message
    assert sentence in message
    folder(path, graph(), model_json=MODEL_JSON)
    assert_distinguishes_colours(path)


def test_other_tasks_are_refused_by_name(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(), pipeline_json=pipeline(LOAD, EDGE, CROP, NORMALIZE), labels_txt=LINES)
    folder(path, graph(), deploy_json=DEPLOY | {"task": "Detector"})
    assert "deploy.json: task is 'Detector'" in refusal(path)
    (path / "deploy.json").unlink()
    folder(path, graph(), pipeline_json=pipeline(LOAD, EDGE, CROP, NORMALIZE, module="mmdet", component="ResizeBBox"))
    assert "module 'mmdet'" in refusal(path)


def test_a_multi_label_head_is_a_sigmoid(tmp_path: Path) -> None:
    document = pipeline(LOAD, EDGE, CROP, NORMALIZE, component="MultiLabelLinearClsHead")
    path = folder(tmp_path, graph(), pipeline_json=document, labels_txt=LINES)
    assert classifier.load(path).spec.output.activation == "sigmoid"


@pytest.mark.parametrize(
    "files",
    [
        {"pipeline_json": pipeline(LOAD, EDGE, CROP, NORMALIZE, params={"classes": NAMES})},
        {"detail_json": {"version": "1", "codebase_config": {"dataset_meta": {"classes": NAMES}}}},
        {"deploy_json": DEPLOY | {"metainfo": {"CLASSES": NAMES}}},
    ],
    ids=["postprocess", "detail.json", "deploy.json"],
)
def test_labels_in_its_files_are_read(tmp_path: Path, files: dict[str, Any]) -> None:
    whole = {"pipeline_json": pipeline(LOAD, EDGE, CROP, NORMALIZE)} | files
    assert_distinguishes_colours(folder(tmp_path, graph(), **whole))


@pytest.mark.parametrize("content", [[], {"pipeline": "x"}, {"stages": []}, {"pipeline": {"tasks": ["a"]}}], ids=str)
def test_another_programs_pipeline_is_ignored(tmp_path: Path, content: Any) -> None:
    assert_distinguishes_colours(
        folder(tmp_path, graph(), pipeline_json=content, labels_json=NAMES, model_json=MODEL_JSON)
    )
