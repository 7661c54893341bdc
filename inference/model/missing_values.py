"""Messages that ask for missing values: their names, the files that were searched, and the lines to add."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from inference.model.exporters.model_json import FILE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.model.session import Session
    from inference.model.sourced_values import SourcedValues

# By key: a description, an example, the choices.
_DESCRIPTIONS: dict[str, tuple[str, Any, str]] = {
    "input.layout": ("the order of its input's axes", "NCHW", "NCHW or NHWC"),
    "input.size": ("the size of its input", [224, 224], "height, width in pixels"),
    "input.color_order": ("the colour order of its input", "RGB", "RGB, BGR or GREY"),
    "input.scale": ("the scale of its pixels", 1 / 255, "1 for 0..255, 1/255 for 0..1; add mean and std too"),
    "input.resize": ("how an image is fitted to its input", "squash", "squash, shortest_side_crop or letterbox"),
    "input.shortest_side": ("the shortest side before the crop", 256, "pixels, or crop_pct instead"),
}
_DETECTOR_WORDS = ("box", "bbox", "nms", "detection", "num_det")


def missing_values(folder: Path, values: SourcedValues, missing: list[str]) -> str:
    """Return one sentence that lists the missing keys of the input with an example for each."""
    missing = [key for key in _DESCRIPTIONS if key in missing]
    asked = [(key.split(".")[1], *_DESCRIPTIONS[key]) for key in missing]
    *others, last = (description for _, description, _, _ in asked)
    what = f"{', '.join(others)} and {last}" if others else last
    example = ", ".join(f'"{key}": {json.dumps(value)}' for key, _, value, _ in asked)
    choices = "; ".join(f"{key}: {words}" for key, _, _, words in asked)
    return (
        f"{folder} does not state {what} (searched {values.searched}): add the values that the model was trained with"
        f' to {FILE}, such as "input": {{{example}}} ({choices}).'
    )


def no_output_fits(  # noqa: PLR0913, PLR0917 - each argument is a separate source of evidence
    folder: Path,
    values: SourcedValues,
    session: Session,
    sizes: Mapping[str, int | None],
    candidates: Mapping[str, tuple[str, ...]],
    last_operator: Mapping[str, str],
) -> str:
    """Return one sentence that says why no output has one number per label.

    Args:
        folder: The model folder.
        values: For the places that were searched.
        session: The loaded graph.
        sizes: By output name, its numbers for one image; ``None`` when it is not a list of scores.
        candidates: Lists of labels by their source.
        last_operator: By output name, the operator that gives its numbers their meaning.
    """
    shapes = ", ".join(f"{output.name} {list(output.shape) or output.type}" for output in session.outputs)
    lists = {name: size for name, size in sizes.items() if size is not None}
    if refused := _not_a_classifier(folder, sizes, last_operator, shapes):
        return refused
    name, size = max(lists.items(), key=lambda item: item[1])
    if not candidates:
        return (
            f"{folder} does not name its labels (searched {values.searched}): add"
            f' "labels": ["first", "second", ...] with {size} names, or the name of a label file, to {FILE}.'
        )
    source, labels = next(iter(candidates.items()))
    if size == len(labels) + 1:
        return (
            f"{folder}: output {name} has {size} numbers and {source} has {len(labels)} labels: if the model counts"
            f' a background class, add "output": {{"background": "first"}} (or "last") to {FILE},'
            f" else complete the labels."
        )
    if size == 1 and len(labels) == 2:
        return (
            f"{folder}: output {name} has 1 number for the 2 labels of {source}, and no file states which label it"
            f' belongs to: add "output": {{"positive": {json.dumps(labels[1])}}} (or {json.dumps(labels[0])})'
            f" to {FILE}."
        )
    return (
        f"{folder}: output {name} has {size} numbers and {source} has {len(labels)} labels: give the label file of this"
        f' model as "labels" in {FILE}; a model that was never trained on labels is a feature extractor.'
    )


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
