"""PaddleClas and PaddleX: ``inference.yml`` with ``PreProcess.transform_ops`` and ``PostProcess``.

The defaults and the order of numbers are those of ``deploy/python/preprocess.py`` in github.com/PaddlePaddle/PaddleClas
and of ``paddlex/inference/models`` in github.com/PaddlePaddle/PaddleX: images are RGB unless ``DecodeImage`` says
otherwise, OpenCV resizes unless ``backend`` is ``pil``, and sizes are [width, height].
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from inference.errors import ModelError
from inference.model.exporters.cv2_resize import add_filter
from inference.model.exporters.unsupported import refuse_step
from inference.model.exporters.yaml_file import read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

FILES = ("inference.yml", "inference.yaml")

_IMAGENET_MEAN, _IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # NormalizeImage's defaults
_ONE_TRUE_CLASS = {"Topk", "ThreshOutput", "ClsPostProcess"}
_SEVERAL_TRUE_CLASSES = {"MultiLabelThreshOutput"}
_NO_STEPS = {"ToCHWImage", "KeepKeys", "SavePreLabel"}


def read(folder: Path, values: SourcedValues) -> None:
    """Add labels and preprocessing.

    Raises:
        ModelError: The file is broken, describes another kind of model, or has a step that is not supported.
    """
    name = next(name for name in FILES if (folder / name).is_file())
    content = read_yaml(folder / name)
    if not isinstance(content, dict):
        return
    if "PreProcess" not in content:
        if "Preprocess" in content or "arch" in content:  # PaddleDetection's and PaddleSeg's spelling
            raise ModelError(
                f"{folder}: {name} describes a model of PaddleDetection ({content.get('arch', 'no arch')!s:.40}), not a"
                f" classifier: export a model of PaddleClas."
            )
        return
    _add_labels(folder, name, content.get("PostProcess"), values)
    preprocess = content["PreProcess"]
    operations = preprocess.get("transform_ops") if isinstance(preprocess, dict) else None
    if isinstance(operations, list):
        _add_preprocessing(folder, name, _steps(operations), values)


def _add_labels(folder: Path, name: str, postprocess: Any, values: SourcedValues) -> None:
    """Add the labels of the one postprocessing step, and whether one class of a photo is true.

    Raises:
        ModelError: The step belongs to another kind of model.
    """
    if not isinstance(postprocess, dict):
        return
    flat = postprocess.get("name")
    steps = {flat: postprocess} if isinstance(flat, str) else postprocess
    for step, parameters in steps.items():
        if step not in _ONE_TRUE_CLASS | _SEVERAL_TRUE_CLASSES | _NO_STEPS | {"main_indicator"}:
            raise ModelError(f"{folder}: {name}: PostProcess has {step!r:.40}, so the model is no plain classifier.")
        if step in _NO_STEPS or not isinstance(parameters, dict):
            continue
        source = f"{name}: PostProcess.{step}"
        values.add("output.logits_activation", "softmax" if step in _ONE_TRUE_CLASS else "sigmoid", source)
        names = parameters.get("label_list")
        if names and isinstance(names, list | dict):
            values.add("labels", names, f"{source}.label_list")
        if "label_0" in parameters and "label_1" in parameters:
            values.add("labels", [parameters["label_0"], parameters["label_1"]], f"{source}.label_0, label_1")
        file = PurePosixPath(str(parameters.get("class_id_map_file") or "")).name  # a path in the training's checkout
        if file and (folder / file).is_file():
            values.add("labels", file, f"{source}.class_id_map_file")


def _steps(operations: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return each step's name and parameters: a mapping of one key, whose value may be missing, or the name alone."""
    steps: list[tuple[str, dict[str, Any]]] = []
    for operation in operations:
        pairs = operation.items() if isinstance(operation, dict) else [(operation, None)]
        steps += [(str(name), parameters if isinstance(parameters, dict) else {}) for name, parameters in pairs]
    return steps


def _add_preprocessing(
    folder: Path, name: str, operations: list[tuple[str, dict[str, Any]]], values: SourcedValues
) -> None:
    steps = dict(operations)
    known = {"DecodeImage", "ResizeImage", "CropImage", "NormalizeImage", *_NO_STEPS}
    unknown = next((step for step in steps if step not in known), None)
    if unknown is not None or len(steps) < len(operations):
        step = "a step that comes twice" if unknown is None else f"step {unknown!r:.40}"
        refuse_step(folder, f"{name}: {step} in PreProcess", values)
        return
    source = f"{name}: PreProcess"
    decode = steps.get("DecodeImage", {})
    is_bgr = _is_false(decode.get("to_rgb")) or str(decode.get("img_mode", "")).upper() == "BGR"
    values.add("input.color_order", "BGR" if is_bgr else "RGB", f"{source}.DecodeImage (RGB by default)")
    if "ToCHWImage" in steps:
        values.add("input.layout", "NCHW", f"{source}.ToCHWImage")
    if "ResizeImage" in steps:
        _add_resize(folder, source, steps["ResizeImage"], steps.get("CropImage"), values)
    if "NormalizeImage" in steps:
        normalize = steps["NormalizeImage"]
        if normalize.get("channel_num", "3") != "3":
            refuse_step(folder, f"{source}.NormalizeImage with channel_num {normalize['channel_num']!r:.20}", values)
            return
        values.add_normalization(
            _number(folder, f"{source}.NormalizeImage.scale", normalize.get("scale", "1/255")),
            _numbers(folder, f"{source}.NormalizeImage.mean", normalize.get("mean", _IMAGENET_MEAN)),
            _numbers(folder, f"{source}.NormalizeImage.std", normalize.get("std", _IMAGENET_STD)),
            f"{source}.NormalizeImage",
        )


def _add_resize(
    folder: Path, source: str, resize: dict[str, Any], crop: dict[str, Any] | None, values: SourcedValues
) -> None:
    """Add the resize with its filter, and the size of the crop if it is a square."""
    where = f"{source}.ResizeImage"
    short = _pixels(resize.get("resize_short"))
    whole = _width_height(resize.get("size"))
    cropped = None if crop is None else _width_height(crop.get("size", "224"))
    backend = "pil" if str(resize.get("backend", "cv2")).lower() in {"pil", "pillow"} else "cv2"
    interpolation = str(resize.get("interpolation") or "bilinear").lower()
    if not add_filter(folder, where, interpolation, backend, values):
        return
    if cropped and cropped[0] == cropped[1]:
        values.add("input.size", [cropped[0]] * 2, f"{source}.CropImage")
    if short and cropped:
        values.add_resize(
            "shortest_side_crop", where, shortest_side=short, crop_rounding="floor", resize_rounding="nearest"
        )
    elif whole and not short:
        if cropped is None:
            values.add("input.size", [whole[1], whole[0]], where)
            values.add_resize("squash", where)
        elif whole[0] == whole[1] and cropped[0] == cropped[1]:
            values.add_resize("squash", where, crop_pct=cropped[0] / whole[0], crop_rounding="floor")


def _number(folder: Path, where: str, value: Any) -> float:
    """Return a number, or the quotient that PaddleClas evaluates: ``1.0/255.0``.

    Raises:
        ModelError: It is neither.
    """
    first, slash, second = str(value).partition("/")
    try:
        return float(first) / float(second) if slash else float(first)
    except (ValueError, ZeroDivisionError) as error:
        raise ModelError(f"{folder}: {where} is {value!r:.40}, which is no number.") from error


def _numbers(folder: Path, where: str, value: Any) -> list[float]:
    return [_number(folder, where, entry) for entry in (value if isinstance(value, list) else [value])]


def _pixels(value: Any) -> int | None:
    return int(value) if isinstance(value, str) and value.isdigit() and int(value) > 0 else None


def _width_height(value: Any) -> tuple[int, int] | None:
    sides = [_pixels(side) for side in (value if isinstance(value, list) else [value, value])]
    return (sides[0], sides[1]) if len(sides) == 2 and sides[0] and sides[1] else None


def _is_false(value: Any) -> bool:
    return str(value).lower() in {"false", "no", "off"}
