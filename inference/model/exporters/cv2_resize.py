"""The filter of a resize that OpenCV or Pillow makes, by the name that exporters give it.

OpenCV's filters but ``area`` do not antialias, Pillow's do: the same word is another resize.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.model.exporters.unsupported import refuse_step

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

_PILLOW = {"nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"}
_SAME = {"linear": "bilinear", "lanczos4": "lanczos", "cubic": "bicubic"}


def add_filter(folder: Path, where: str, interpolation: str, backend: str, values: SourcedValues) -> bool:
    """Add the filter, and that it does not antialias where that is so.

    Args:
        folder: The model folder, for a refusal.
        where: The file and key that state it.
        interpolation: The exporter's name of the filter, in lower case.
        backend: ``cv2`` or ``pil``.
        values: The values stated so far.

    Returns:
        Whether the filter is supported; ``False`` only where ``model.json`` states the preprocessing itself.

    Raises:
        ModelError: The filter is not supported, and ``model.json`` does not state the preprocessing.
    """
    if "input.interpolation" in values:  # model.json states another filter, and whether it antialiases
        return True
    name = _SAME.get(interpolation, interpolation)
    if backend == "cv2" and name == "area":  # the mean of the pixels under each new one
        values.add("input.interpolation", "box", where)
    elif backend == "cv2" and name in {"nearest", "bilinear"}:
        values.add("input.interpolation", name, where)
        if name == "bilinear":
            values.add("input.antialias", False, f"{where} (OpenCV does not antialias)")  # noqa: FBT003 - a value
    elif backend == "pil" and name in _PILLOW:
        values.add("input.interpolation", name, where)
    else:
        refuse_step(folder, f"{where} with interpolation {interpolation!r:.20} of {backend}", values)
        return False
    return True
