"""The sentence for facts that only a person can supply: what is missing, where we looked, what to write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from inference.model.exporters.model_json import FILE

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import Facts

# What each fact is, an example, the choices.
_ASK: dict[str, tuple[str, Any, str]] = {
    "input.layout": ("the order of its input's axes", "NCHW", "NCHW or NHWC"),
    "input.size": ("the size of its input", [224, 224], "height, width in pixels"),
    "input.color_order": ("the colour order of its input", "RGB", "RGB, BGR or GREY"),
    "input.scale": ("the scale of its pixels", 1 / 255, "1 for 0..255, 1/255 for 0..1; mean and std beside it"),
    "input.resize": ("how an image is fitted to its input", "squash", "squash, shortest_side_crop or letterbox"),
    "input.shortest_side": ("the shortest side before the crop", 256, "pixels, or crop_pct instead"),
}


def missing_facts(folder: Path, facts: Facts, missing: list[str]) -> str:
    """Return one sentence: what nobody states, where we looked, and what to write."""
    missing = [key for key in _ASK if key in missing]
    asked = [_ASK[key] for key in missing]
    what = " and ".join(words for words, _, _ in asked)
    example = ", ".join(
        f'"{key.split(".")[1]}": {json.dumps(value)}' for key, (_, value, _) in zip(missing, asked, strict=True)
    )
    choices = "; ".join(f"{key.split('.')[1]}: {words}" for key, (_, _, words) in zip(missing, asked, strict=True))
    return (
        f"{folder} does not say {what} (looked in {facts.looked}): add what the model was trained with to"
        f' {FILE}, such as "input": {{{example}}} ({choices}).'
    )
