"""The refusal of an incomplete model folder: all that only the author can state, as one ``model.json`` to fill in.

Imported for a refusal only.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from inference.errors import ModelError, printable
from inference.model.exporters import model_json
from inference.model.refusals import graph_start

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.model.session import Session
    from inference.model.sourced_values import SourcedValues

# By key, in the order of model.json: a description, and the allowed values.
DESCRIPTIONS = {
    "name": ("the model's name", "text"),
    "description": ("the model's description", "text"),
    "labels": ("its labels", "a list of names in the order of the classes, or the name of a label file"),
    "input.layout": ("the order of its input's axes", "NCHW or NHWC"),
    "input.color_order": ("the colour order of its input", "RGB, BGR or GREY"),
    "input.size": ("the size of its input", "[height, width] in pixels"),
    "input.resize": (
        "how an image is fitted to its input",
        "squash, shortest_side_crop (with shortest_side or crop_pct) or letterbox",
    ),
    "input.shortest_side": ("the shortest side before the crop", "pixels, or crop_pct instead"),
    "input.crop_pct": ("the input's share of the size before the crop", "above 0 and at most 1"),
    "input.crop_rounding": ("the rounding of the crop's offset", "floor or half_even"),
    "input.resize_rounding": ("the rounding of a side that follows from the ratio", "floor or nearest"),
    "input.interpolation": ("the filter of the resize", "nearest, bilinear, bicubic, lanczos, box or hamming"),
    "input.scale": ("the scale of its pixels", "1 for 0..255, 0.00392156862745098 (1/255) for 0..1"),
    "input.mean": ("the mean", "0, or a number per channel, subtracted after scale"),
    "input.std": ("the std", "1, or a number per channel"),
    "input.order": ("the order of scale and mean", "scale_first or mean_first"),
    "input.pad_color": ("the colour of the padding", "[red, green, blue], each 0 to 255"),
    "input.antialias": ("whether its resize averages all pixels", "true or false"),
    "input.align": ("the place of a letterboxed image", "center or top_left"),
    "input.quantization": ("the scale and zero point of its input", "[scale, zero point]"),
    "preprocess": ("the transform that it was trained with", "torchvision/ and the name of a weight"),
    "input.preprocess": ("the transform that it was trained with", "torchvision/ and the name of a weight"),
    "output.name": ("the output that holds the scores", "the name of an output"),
    "output.activation": ("the function to apply to its output", "softmax, sigmoid, exp or none"),
    "output.background": ("the position of the class without a label", "none, first or last"),
    "output.quantization": ("the scale and zero point of its output", "[scale, zero point]"),
    "output.positive": ("the label of its one number", "a label or its index"),
}
_PIXELS = {"input.color_order", "input.resize", "input.scale"}
_PRESET = (
    'for a weight of torchvision "preprocess": "torchvision/ResNet50_Weights.IMAGENET1K_V2" or its like replaces input'
)
_LONGEST_FILE = 2000  # characters of an existing model.json that is repeated with the missing keys
_DETECTOR_WORDS = ("box", "bbox", "nms", "detection", "num_det")


class IncompleteModelError(ModelError):
    """The folder can be read, but some values are known to the author only.

    Attributes:
        graph: The ONNX file.
        session: The loaded graph.
        values: Every value that is known.
        missing: Every missing key of ``model.json`` with its allowed values in words.
        template: The ``model.json`` to write, with ``"?"`` for each missing value; of a long one these keys alone.
        start: The operators that the graph begins with, and whether it rescales its pixels.
    """

    def __init__(self, folder: Path, graph: Path, values: SourcedValues, session: Session) -> None:
        self.graph, self.session, self.values = graph, session, values
        keys = [key for key in DESCRIPTIONS if key in values.missing]
        keys += [key for key in values.missing if key not in keys]
        self.missing = {key: values.missing[key] or _description(key)[1] for key in keys}
        existing = model_json.content_of(folder)
        is_short = len(json.dumps(existing)) <= _LONGEST_FILE
        self.template = _with_questions(existing if is_short else {}, keys)
        self.start = graph_start.in_words(graph_start.read(graph, session.inputs[0].name))
        *others, last = (_description(key)[0] for key in keys)
        what = f"{', '.join(others)} and {last}" if others else last
        choices = "; ".join(f"{key.rpartition('.')[2]}: {words}" for key, words in self.missing.items())
        if self.missing.keys() >= _PIXELS:
            choices += f"; {_PRESET}"
        sentence = (
            f"{folder} does not state {what} (searched {values.searched}; the graph begins with {self.start}): write"
            f" {'this' if is_short else 'these keys into'} {model_json.FILE} with the values that the model was trained"
            f' with in place of each "?" ({choices}): {json.dumps(self.template, ensure_ascii=False)}'
        )
        super().__init__(printable(sentence))


def _description(key: str) -> tuple[str, str]:
    return DESCRIPTIONS.get(key, (key, "see docs/models.md"))


def _with_questions(template: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    """Return the content of a ``model.json`` with a ``"?"`` for each key that it lacks."""
    for key in keys:
        section, _, name = key.rpartition(".")
        part = template.setdefault(section, {}) if section else template
        part.setdefault(name, model_json.OPEN)
    return template


def ask_for_labels(  # noqa: PLR0913, PLR0917 - each argument is a separate source of evidence
    folder: Path,
    values: SourcedValues,
    session: Session,
    sizes: Mapping[str, int | None],
    candidates: Mapping[str, tuple[str, ...]],
    last_operator: Mapping[str, str],
) -> str:
    """Ask for what gives an output one number per label, and return the output that probably holds the scores.

    Args:
        folder: The model folder.
        values: Where it is asked for.
        session: The loaded graph.
        sizes: By output name, its numbers for one image, 0 if unknown; ``None`` when it is not a list of scores.
        candidates: Lists of labels by their source.
        last_operator: By output name, the operator that gives its numbers their meaning.

    Raises:
        ModelError: The graph is not a classifier.
    """
    shapes = ", ".join(f"{output.name} {list(output.shape) or output.type}" for output in session.outputs)
    if refused := _not_a_classifier(folder, sizes, last_operator, shapes):
        raise ModelError(refused)
    name, size = max(((name, size) for name, size in sizes.items() if size is not None), key=lambda item: item[1])
    if not candidates:
        names = f"a list of {size} names" if size else "a list of names"
        values.ask("labels", f"{names} in the order of the classes, or the name of a label file")
        return name
    source, labels = next(iter(candidates.items()))
    counts = f"output {name} has {size} number{'s' * (size != 1)} and {source} has {len(labels)} labels"
    if size == len(labels) + 1:
        values.ask("output.background", f"{counts}: first or last if the model counts a class that has no label")
    elif size == 1 and len(labels) == 2:
        values.ask(
            "output.positive",
            f"{json.dumps(labels[1], ensure_ascii=False)} or {json.dumps(labels[0], ensure_ascii=False)}, the label"
            f" that the one number of output {name} belongs to",
        )
    else:
        values.ask(
            "labels",
            f"a list of {size} names, or the name of this model's label file; {counts}; a model that was never trained"
            f" on labels is a feature extractor",
        )
    return name


def _not_a_classifier(
    folder: Path, sizes: Mapping[str, int | None], last_operator: Mapping[str, str], shapes: str
) -> str | None:
    """Return one sentence for a graph without a list of scores, or ``None``."""
    if any(word in name.lower() for name in sizes for word in _DETECTOR_WORDS):
        return f"{folder} holds a detector, not a classifier: its outputs are {shapes}."
    if any(size is not None for size in sizes.values()):
        return None
    best = [name for name in sizes if last_operator.get(name) == "ArgMax"]
    if best:
        return (
            f"{folder}: output {best[0]} comes out of ArgMax, so it holds the number of the best class without a score:"
            f" export the model with the scores that ArgMax reads as its output."
        )
    return f"{folder} holds no classifier, but perhaps a detector or a feature extractor: its outputs are {shapes}."
