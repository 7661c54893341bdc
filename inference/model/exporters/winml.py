"""Windows ML: image metadata inside the graph, as ONNX's ``MetadataProps.md`` defines it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.model.sourced_values import SourcedValues

_COLOR_ORDERS = {"gray8": "GREY", "rgb8": "RGB", "bgr8": "BGR"}
_RANGES = {  # (scale, mean, std)
    "nominalrange_0_255": (1, 0, 1),
    "normalized_0_1": (1 / 255, 0, 1),
    "normalized_1_1": (1 / 255, 0.5, 0.5),
    "nominalrange_16_235": (219 / 255, -16, 1),
}


def read(where: str, metadata: Mapping[str, str], values: SourcedValues) -> None:
    """Add the colour order and the pixel range that the metadata states.

    The resize mode is squash: Windows ML and Custom Vision stretch the whole image to the input.

    Args:
        where: The file that holds the metadata, for the source.
        metadata: The graph's ``metadata_props``, or the same keys from another file.
        values: The values stated so far.

    Raises:
        ModelError: The standard allows a value, but the pixels of a photo cannot fill it.
    """
    for key, known, add in (
        ("Image.BitmapPixelFormat", _COLOR_ORDERS, _add_color_order),
        ("Image.NominalPixelRange", _RANGES, _add_range),
    ):
        value = metadata.get(key)
        if not isinstance(value, str):
            continue
        if value.lower() not in known:
            raise ModelError(f"{where}: {key} is {value!r:.40}; only {', '.join(known)} are supported.")
        add(f"{where}: {key}", value.lower(), values)
        values.add_resize("squash", f"{where}: {key} (the whole image is stretched to the input)")


def _add_color_order(source: str, value: str, values: SourcedValues) -> None:
    values.add("input.color_order", _COLOR_ORDERS[value], source)


def _add_range(source: str, value: str, values: SourcedValues) -> None:
    values.add_normalization(*_RANGES[value], source)
