"""Image metadata inside the graph: ``Image.BitmapPixelFormat`` and its siblings, from ONNX's ``MetadataProps.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.model.sourced_values import Facts

_COLOR_ORDERS = {"gray8": "GREY", "rgb8": "RGB", "bgr8": "BGR"}
_RANGES = {  # (scale, mean, std)
    "nominalrange_0_255": (1, 0, 1),
    "normalized_0_1": (1 / 255, 0, 1),
    "normalized_1_1": (1 / 255, 0.5, 0.5),
    "nominalrange_16_235": (219 / 255, -16, 1),
}


def read(where: str, metadata: Mapping[str, str], facts: Facts) -> None:
    """State what the metadata says of colour order and range.

    The image is squashed to the input: that is what Windows ML and Custom Vision do with a whole frame.

    Raises:
        ModelError: A value that is in the standard but that no classifier of pictures can use.
    """
    facts.looked_in(f"metadata in {where}")
    for key, known, state in (
        ("Image.BitmapPixelFormat", _COLOR_ORDERS, _state_color_order),
        ("Image.NominalPixelRange", _RANGES, _state_range),
    ):
        value = metadata.get(key)
        if not isinstance(value, str):
            continue
        if value.lower() not in known:
            raise ModelError(f"{where}: {key} is {value!r:.40}; only {', '.join(known)} can be filled.")
        state(f"{where}: {key}", value.lower(), facts)
        facts.state_geometry("squash", f"{where}: {key} (a whole frame is stretched to the input)")


def _state_color_order(source: str, value: str, facts: Facts) -> None:
    facts.state("input.color_order", _COLOR_ORDERS[value], source)


def _state_range(source: str, value: str, facts: Facts) -> None:
    facts.state_normalisation(*_RANGES[value], source)
