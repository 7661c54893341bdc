"""Hugging Face and Optimum: ``config.json`` (labels) and ``preprocessor_config.json`` (size, crop, mean, std).

The keys mean different things to different image processors, so the processor's class decides how they are read. A
value that follows from the class alone names the class in its source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.errors import ModelError
from inference.model.exporters.json_file import read_object

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
PROCESSOR = "processor_config.json"  # newer versions nest the same object in it

_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}  # PIL.Image.Resampling
# Processors that read a single number as a square, and those that read it as the shortest side.
_SQUARE = {"ViT", "DeiT", "Beit", "EfficientNet", "Siglip", "Segformer"}
_SHORTEST = {"CLIP", "Bit", "ViTHybrid", "ConvNext", "PoolFormer", "Levit", "MobileNetV1", "MobileNetV2", "MobileViT"}
_OTHERS = {"EfficientFormer", "Perceiver", "Pvt"}
_KNOWN = _SQUARE | _SHORTEST | _OTHERS
# The processor of each ``model_type``, as AutoImageProcessor of transformers 4.57 chooses it.
_BY_MODEL_TYPE = {
    "beit": "Beit", "bit": "Bit", "clip": "CLIP", "convnext": "ConvNext", "convnextv2": "ConvNext", "cvt": "ConvNext",
    "data2vec-vision": "Beit", "deit": "DeiT", "dinat": "ViT", "dinov2": "Bit", "dinov2_with_registers": "Bit",
    "efficientformer": "EfficientFormer", "efficientnet": "EfficientNet", "focalnet": "Bit", "hiera": "Bit",
    "ijepa": "ViT", "levit": "Levit", "mobilenet_v1": "MobileNetV1", "mobilenet_v2": "MobileNetV2",
    "mobilevit": "MobileViT", "mobilevitv2": "MobileViT", "nat": "ViT", "perceiver": "Perceiver",
    "poolformer": "PoolFormer", "pvt": "Pvt", "pvt_v2": "Pvt", "regnet": "ConvNext", "resnet": "ConvNext",
    "segformer": "Segformer", "siglip": "Siglip", "swiftformer": "ViT", "swin": "ViT", "swinv2": "ViT",
    "van": "ConvNext", "vit": "ViT", "vit_hybrid": "ViTHybrid", "vit_mae": "ViT", "vit_msn": "ViT",
}  # fmt: skip
_PIPELINE = "no problem_type (softmax in Hugging Face's image-classification pipeline)"
# Steps that no ``ResizeMode`` expresses.
_UNSUPPORTED = (
    "do_pad",
    "do_thumbnail",
    "do_align_long_axis",
    "do_image_splitting",
    "do_crop_margin",
    "do_random_crop",
)


def read(folder: Path, values: SourcedValues) -> None:
    """Add what the files state.

    Raises:
        ModelError: A file is broken, or names a processor or a step that is not supported.
    """
    config = read_object(folder / CONFIG)
    if config is not None:
        values.add("labels", config.get("id2label") or None, f"{CONFIG}: id2label")
        values.add("labels", config.get("label2id") or None, f"{CONFIG}: label2id")
        _add_activation(config, values)
    name, processor = PREPROCESSOR, read_object(folder / PREPROCESSOR)
    if processor is None and (whole := read_object(folder / PROCESSOR)) is not None:
        name, processor = PROCESSOR, whole.get("image_processor")
    if not isinstance(processor, dict) or not {"size", "crop_size", "image_mean", "do_normalize"} & processor.keys():
        return
    if config is None:
        values.add("output.logits_activation", "softmax", f"{name}: {_PIPELINE}")
    kind = _kind(folder, processor, config or {}, name, values)
    values.add("input.layout", "NCHW", f"{name}: pixel_values are NCHW")
    flips = processor.get("do_flip_channel_order", kind == "MobileViT") is True
    values.add("input.color_order", "BGR" if flips else "RGB", f"{name}: do_flip_channel_order")
    values.add("input.interpolation", _FILTERS.get(processor.get("resample", -1)), f"{name}: resample")
    _add_resize(processor, kind, name, values)
    _add_normalization(processor, kind, name, values)


def _add_activation(config: dict[str, Any], values: SourcedValues) -> None:
    """Add the rule of Hugging Face's own pipeline: a softmax, unless ``problem_type`` says that each class is alone."""
    problem = config.get("problem_type")
    if problem == "multi_label_classification":
        values.add("output.logits_activation", "sigmoid", f"{CONFIG}: problem_type")
    elif problem == "single_label_classification":
        values.add("output.logits_activation", "softmax", f"{CONFIG}: problem_type")
    elif not {"id2label", "label2id", "model_type", "architectures"}.isdisjoint(config):
        values.add("output.logits_activation", "softmax", f"{CONFIG}: {_PIPELINE}")


def _kind(folder: Path, processor: dict[str, Any], config: dict[str, Any], name: str, values: SourcedValues) -> str:
    """Return the processor's class without its suffix, as AutoImageProcessor finds it; empty when no file states it.

    Raises:
        ModelError: The class is unknown, or its steps cannot be expressed, and ``model.json`` does not state them.
    """
    stated = str(processor.get("image_processor_type") or processor.get("feature_extractor_type") or "")
    kind = stated
    for suffix in ("Fast", "ImageProcessor", "FeatureExtractor"):
        kind = kind.removesuffix(suffix)
    source = f"{name}: image_processor_type {stated!r:.60}"
    model_type = config.get("model_type")
    if not kind and isinstance(model_type, str) and model_type:
        kind = _BY_MODEL_TYPE.get(model_type, model_type)
        source = f"{CONFIG}: model_type {model_type!r:.60}"
    step = next((key for key in _UNSUPPORTED if processor.get(key) is True), None)
    is_unknown = step is not None or (kind != "" and kind not in _KNOWN)
    if is_unknown and not ("input.resize" in values and "input.scale" in values):
        problem = f"{name}: {step} is true, a step that is not supported" if step else f"{source} is not supported"
        raise ModelError(
            f"{folder}: {problem}: state the preprocessing in model.json with"
            f' "input": {{"size": [...], "resize": "...", "scale": ..., "mean": [...], "std": [...]}}.'
        )
    return kind


def _add_resize(processor: dict[str, Any], kind: str, name: str, values: SourcedValues) -> None:
    """Add how an image reaches the input size; add nothing for a resize that ``ResizeMode`` cannot express."""
    if processor.get("do_resize") is False:
        return
    size, crop = processor.get("size"), _square(processor.get("crop_size"))
    crops = processor.get("do_center_crop")
    if crops is False or (crops is None and crop is None):
        crop = None
    whole = _square(size) if _is_square(size, kind, processor, cropped=crop is not None) else None
    side = size.get("shortest_edge") if isinstance(size, dict) else size if whole is None else None
    source = f"{name}: size"
    if kind == "Perceiver":
        _add_perceiver_resize(_square(size), _square(processor.get("crop_size")), crops, name, values)
    elif kind == "ConvNext":
        _add_convnext_resize(processor, side, name, values)
    elif kind in ("PoolFormer", "Levit") and isinstance(side, int) and crop:
        enlarged = side / float(processor.get("crop_pct") or 0.9) if kind == "PoolFormer" else side * 256 / 224
        _add_crop(int(enlarged), crop, f"{source} ({kind} enlarges it)", values)
    elif isinstance(side, int) and crop:
        _add_crop(side, crop, source, values)
    elif whole and crop:
        if crop[0] * whole[1] == crop[1] * whole[0]:
            values.add("input.size", crop, f"{name}: crop_size")
            values.add_resize("squash", f"{source}, crop_size", crop_pct=crop[0] / whole[0])
    elif whole:
        values.add("input.size", whole, source)
        values.add_resize("squash", source)


def _is_square(size: Any, kind: str, processor: dict[str, Any], *, cropped: bool) -> bool:
    """Whether ``size`` is a height and a width; otherwise it is a shortest side."""
    if isinstance(size, dict):
        return "height" in size
    if isinstance(processor.get("default_to_square"), bool):
        return bool(processor["default_to_square"])
    return kind in _SQUARE or (kind not in _SHORTEST and not cropped)


def _add_convnext_resize(processor: dict[str, Any], side: Any, name: str, values: SourcedValues) -> None:
    """Add ConvNext's rule: below 384 pixels enlarge by ``crop_pct`` and crop, from 384 on squash."""
    if not isinstance(side, int):
        return
    source = f"{name}: size.shortest_edge (ConvNext rule)"
    if side < 384:
        _add_crop(int(side / float(processor.get("crop_pct") or 224 / 256)), [side, side], source, values)
    else:
        values.add("input.size", [side, side], source)
        values.add_resize("squash", source)


def _add_perceiver_resize(
    size: list[int] | None, crop: list[int] | None, crops: Any, name: str, values: SourcedValues
) -> None:
    """Add Perceiver's rule: crop the centre square of size / crop_size of the shortest side, then squash it to size.

    That equals a resize of the shortest side to ``crop_size`` with a crop of ``size``, except for the edge's filter.
    """
    if size is None:
        return
    source = f"{name}: crop_size (Perceiver rule)"
    if crops is False:
        values.add("input.size", size, source)
        values.add_resize("squash", source)
    elif crop and size[0] == size[1] and crop[0] == crop[1]:
        _add_crop(crop[0], size, source, values)


def _add_crop(side: int, crop: list[int], source: str, values: SourcedValues) -> None:
    values.add("input.size", crop, source)
    values.add_resize("shortest_side_crop", source, shortest_side=side, crop_rounding="floor")


def _square(size: Any) -> list[int] | None:
    """Return [height, width] of an int, a pair or a dict, or ``None``."""
    if isinstance(size, int):
        return [size, size]
    if isinstance(size, dict) and "height" in size and "width" in size:
        return [size["height"], size["width"]]
    return list(size) if isinstance(size, list | tuple) and len(size) == 2 else None


def _add_normalization(processor: dict[str, Any], kind: str, name: str, values: SourcedValues) -> None:
    rescales, factor = processor.get("do_rescale") is not False, processor.get("rescale_factor")
    scale: Any = 1
    source = f"{name}: do_rescale is false"
    if rescales:
        scale = 1 / 255 if factor is None else factor
        source = f"{name}: rescale_factor" + (" (absent, its default)" if factor is None else "")
    offset = 1.0 if rescales and processor.get("rescale_offset") is True else 0.0
    if processor.get("do_normalize") is False:
        values.add_normalization(scale, offset, 1, f"{source}, do_normalize is false")
        return
    if kind == "MobileViT":
        values.add_normalization(scale, offset, 1, f"{source}, MobileViT never normalises")
        return
    mean, std = processor.get("image_mean"), processor.get("image_std")
    if (mean is None or std is None) and values.get("input.scale") is None:
        values.ask_normalization(f"{scale} ({source}), and {name} normalises, but has no image_mean or no image_std")
        return
    if offset:
        mean = [entry + offset for entry in _numbers(mean)]
    if kind == "EfficientNet" and processor.get("include_top") is not False:
        std = [entry * entry for entry in _numbers(std)]  # its classifiers divide by std twice
    values.add_normalization(scale, mean, std, f"{source}, image_mean, image_std")


def _numbers(value: Any) -> list[float]:
    return [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, int | float)]
