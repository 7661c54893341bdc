"""Refuses a step of an exporter's preprocessing that no key of ``model.json`` expresses. A step is never left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues


def refuse_step(folder: Path, problem: str, values: SourcedValues) -> None:
    """Refuse the folder, unless ``model.json`` states resize and scale itself: the reader then stops.

    Args:
        folder: The model folder.
        problem: The file and the step in it, to complete "... is not supported".
        values: The values stated so far.

    Raises:
        ModelError: ``model.json`` does not state them.
    """
    if not ("input.resize" in values and "input.scale" in values):
        raise ModelError(
            f"{folder}: {problem} is not supported: state the preprocessing in model.json with"
            f' "input": {{"size": [...], "resize": "...", "scale": ..., "mean": [...], "std": [...]}}.'
        )
