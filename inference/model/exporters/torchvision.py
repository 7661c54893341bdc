"""torchvision: the transform of a published weight, named by ``"preprocess": "torchvision/..."`` in ``model.json``.

A torch export states none of its pixels. Each weight of torchvision has its own ``ImageClassification`` transform; the
table beside this module holds all of them.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.errors import ModelError
from inference.model.exporters.json_file import read_json

if TYPE_CHECKING:
    from inference.model.sourced_values import SourcedValues

PREFIX = "torchvision/"

_TABLE = Path(__file__).with_name("torchvision_weights.json")


def read(folder: Path, name: object, source: str, values: SourcedValues) -> None:
    """Add the transform of a weight, but no value that ``model.json`` states itself.

    Args:
        folder: For messages.
        name: ``torchvision/ResNet50_Weights.IMAGENET1K_V2``, as ``str`` of the weight shows it, or the last part alone,
            such as ``torchvision/IMAGENET1K_V1`` for the transform that most weights of that name share.
        source: The key that states the name.
        values: The values stated so far.

    Raises:
        ModelError: There is no such weight.
    """
    weight, transform = _transform(folder, name, source)
    origin = f"torchvision {weight} ({source})"
    values.add("input.layout", "NCHW", origin)
    values.add("input.color_order", "RGB", origin)
    values.add("input.size", [transform["crop_size"]] * 2, origin)
    values.add("input.resize", "shortest_side_crop", origin)
    if "input.crop_pct" not in values:
        values.add("input.shortest_side", transform["resize_size"], origin)
    values.add("input.crop_rounding", "half_even", origin)
    values.add("input.interpolation", transform["interpolation"], origin)
    values.add("input.scale", 1 / 255, origin)
    values.add("input.mean", transform["mean"], origin)
    values.add("input.std", transform["std"], origin)
    values.add("output.logits_activation", "softmax", f"{origin}: ImageNet has one class per photo")


def _transform(folder: Path, name: object, source: str) -> tuple[str, dict[str, Any]]:
    """Return the full name of a weight with its transform."""
    table = read_json(_TABLE)
    transforms = {weight: transform for transform in table["transforms"] for weight in transform["weights"]}
    weight = str(name).removeprefix(PREFIX)
    weight = table["short"].get(weight, weight)
    model, _, member = weight.partition(".")
    if member == "DEFAULT" and model in table["default"]:
        weight = f"{model}.{table['default'][model]}"
    if not isinstance(name, str) or not name.startswith(PREFIX) or weight not in transforms:
        known = [PREFIX + each for each in (*table["short"], *transforms)]
        close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.3) or known[:1]
        raise ModelError(
            f"{folder}: {source} is {name!r:.80}, but must be {PREFIX} and the name of a weight of torchvision,"
            f' such as "{close[0]}".'
        )
    return weight, transforms[weight]
