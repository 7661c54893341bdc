"""MMDeploy: ``pipeline.json``, which its SDK reads, with ``deploy.json`` and ``detail.json`` beside it.

Steps, their defaults and the order of numbers are those of ``mmdeploy/backend/sdk/export_info.py`` and
``csrc/mmdeploy/preprocess`` in github.com/open-mmlab/mmdeploy: images are loaded as BGR, sizes are [width, height], and
OpenCV resizes unless ``backend`` is ``pillow``. ``mean`` and ``std`` are for pixels 0 to 255, in the order of the
tensor. The files do not name the classes of a data set; other tools write them into the postprocessing's parameters or
into the meta data, which are read too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.errors import ModelError
from inference.model.exporters.cv2_resize import add_filter
from inference.model.exporters.json_file import read_json
from inference.model.exporters.unsupported import refuse_step

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

PIPELINE = "pipeline.json"
DEPLOY = "deploy.json"
DETAIL = "detail.json"

_CLASSIFIERS = {"mmcls", "mmpretrain"}
_FORMATTING = {
    "Collect", "DefaultFormatBundle", "ImageToTensor", "Lift", "PackClsInputs", "PackInputs", "ToTensor",
}  # fmt: skip
_LABEL_KEYS = ("classes", "CLASSES", "class_names", "labels", "label_names")
_META_KEYS = ("dataset_meta", "metainfo", "METAINFO", "meta", "codebase_config", "params")


def read(folder: Path, values: SourcedValues) -> None:
    """Add the graph's name, labels and preprocessing.

    Raises:
        ModelError: A file is broken, describes another kind of model, or has a step that is not supported.
    """
    document = read_json(folder / PIPELINE)
    pipeline = document.get("pipeline") if isinstance(document, dict) else None
    tasks = pipeline.get("tasks") if isinstance(pipeline, dict) else None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):  # another program's pipeline
        return
    _add_deploy_file(folder, values)
    for task in tasks:
        module = str(task.get("module", ""))
        if module == "Transform" and isinstance(task.get("transforms"), list):
            _add_preprocessing(folder, task["transforms"], values)
        elif module.lower().startswith("mm") and module != "Net":
            _add_postprocessing(folder, module, task, values)
    if (folder / DETAIL).is_file():
        _add_labels(DETAIL, read_json(folder / DETAIL), values)


def _add_deploy_file(folder: Path, values: SourcedValues) -> None:
    """Add the graph's name; refuse a model for another task.

    Raises:
        ModelError: The file is broken, or names another task.
    """
    deploy = read_json(folder / DEPLOY) if (folder / DEPLOY).is_file() else None
    if not isinstance(deploy, dict):
        return
    if deploy.get("task", "Classifier") != "Classifier":
        raise ModelError(f"{folder}: {DEPLOY}: task is {deploy['task']!r:.40}, not Classifier: deploy a classifier.")
    models = deploy.get("models")
    for model in models if isinstance(models, list) else ():
        graph = model.get("net") if isinstance(model, dict) else None
        if isinstance(graph, str) and graph.lower().endswith(".onnx") and (folder / graph).is_file():
            values.add("graph", graph, f"{DEPLOY}: models.net")
    _add_labels(DEPLOY, deploy, values)


def _add_labels(name: str, document: Any, values: SourcedValues) -> None:
    """Add a list of classes: at the top, or in the meta data at any depth."""
    if not isinstance(document, dict):
        return
    for key in _LABEL_KEYS:
        if isinstance(document.get(key), list | dict) and document[key]:
            values.add("labels", document[key], f"{name}: {key}")
    for key in _META_KEYS:
        _add_labels(name, document.get(key), values)


def _add_postprocessing(folder: Path, module: str, task: dict[str, Any], values: SourcedValues) -> None:
    """Add labels and whether one class of a photo is true: the class of the head shows it.

    Raises:
        ModelError: The module belongs to detection, segmentation or another task.
    """
    if module.lower().removesuffix("postprocess") not in _CLASSIFIERS:
        raise ModelError(f"{folder}: {PIPELINE}: module {module!r:.40} is not a classifier's: deploy a classifier.")
    head = str(task.get("component") or task.get("postprocess_type") or "")
    source = f"{PIPELINE}: {head}"
    if "MultiLabel" in head or head.startswith("CSRA"):
        values.add("output.logits_activation", "sigmoid", source)
    elif head.endswith(("ClsHead", "LinearHead", "SoftmaxPost")):
        values.add("output.logits_activation", "softmax", source)
    _add_labels(PIPELINE, task, values)


def _add_preprocessing(folder: Path, transforms: list[Any], values: SourcedValues) -> None:
    steps = {_kind(step): step for step in transforms if isinstance(step, dict)}
    known = {"LoadImageFromFile", "Resize", "ResizeEdge", "CenterCrop", "Normalize", *_FORMATTING}
    unknown = next((kind for kind in steps if kind not in known), None)
    if unknown is not None or len(steps) != len(transforms):
        step = "a transform that comes twice" if unknown is None else f"transform {unknown!r:.60}"
        refuse_step(folder, f"{PIPELINE}: {step}", values)
        return
    is_grey = steps.get("LoadImageFromFile", {}).get("color_type") == "grayscale"
    resize, crop = steps.get("Resize") or steps.get("ResizeEdge"), steps.get("CenterCrop")
    if crop is not None and crop.get("efficientnet_style"):
        refuse_step(folder, f"{PIPELINE}: CenterCrop with efficientnet_style", values)
        return
    if not _FORMATTING.isdisjoint(steps):
        values.add("input.layout", "NCHW", f"{PIPELINE}: ImageToTensor")
    if resize is not None:
        _add_resize(folder, resize, crop, values)
    normalize = steps.get("Normalize")
    if normalize is not None:
        source = f"{PIPELINE}: Normalize"
        order = "RGB" if normalize.get("to_rgb", True) else "BGR"
        values.add("input.color_order", "GREY" if is_grey else order, f"{source}.to_rgb")
        values.add_normalization(1, normalize.get("mean"), normalize.get("std"), source)


def _kind(step: dict[str, Any]) -> str:
    """Return a transform's class without its package: ``mmpretrain.ResizeEdge`` is ``ResizeEdge``."""
    return str(step.get("type", "")).rpartition(".")[2]


def _add_resize(folder: Path, resize: dict[str, Any], crop: dict[str, Any] | None, values: SourcedValues) -> None:
    """Add the resize with its filter, and the size of the crop if it is a square.

    Raises:
        ModelError: The result has no fixed size, or the filter is not supported.
    """
    where = f"{PIPELINE}: {_kind(resize)}"
    backend = "pil" if str(resize.get("backend", "cv2")).lower() in {"pillow", "pil"} else "cv2"
    if not add_filter(folder, where, str(resize.get("interpolation", "bilinear")).lower(), backend, values):
        return
    size = resize.get("size", resize.get("scale"))
    width, height = size if isinstance(size, list) and len(size) == 2 else (size, size)
    short = width if -1 in (height, None) else height if width == -1 else None
    edge = resize.get("edge", "short" if _kind(resize) == "ResizeEdge" else None)
    if edge == "short" and width == height:  # some versions write MMPretrain's ResizeEdge as a Resize to [edge, edge]
        short = width
    cropped = None if crop is None else crop.get("crop_size")
    side = cropped[0] if isinstance(cropped, list) and len(cropped) == 2 and cropped[0] == cropped[1] else cropped
    if isinstance(side, int):
        values.add("input.size", [side, side], f"{PIPELINE}: CenterCrop")
    if short is not None and crop is not None:
        values.add_resize("shortest_side_crop", where, shortest_side=short, crop_rounding="half_even")
    elif short is not None or edge is not None or resize.get("keep_ratio"):
        refuse_step(folder, f"{where} that keeps the ratio of the sides, and so ends in sizes of any shape,", values)
    elif crop is None:
        values.add("input.size", [height, width], where)
        values.add_resize("squash", where)
    elif width == height and isinstance(side, int) and isinstance(width, int) and width > 0:
        values.add_resize("squash", where, crop_pct=side / width, crop_rounding="half_even")
