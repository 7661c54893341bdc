"""Published models whose preprocessing is stated only in prose, recognised by the SHA-256 of their ONNX file."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.model.exporters.json_file import read_json

if TYPE_CHECKING:
    from inference.model.sourced_values import SourcedValues

_FILE = Path(__file__).with_name("known_models.json")


def read(sha256: str, values: SourcedValues) -> None:
    """Add what the catalogue states of the ONNX file with this SHA-256 (64 hex digits)."""
    values.add_searched(f"{_FILE.name} for {sha256[:12]}")
    model = _models().get(sha256)
    if model is None:
        return
    source = f"{_FILE.name}: {model['name']}"
    pixels = model["input"]
    for key in ("layout", "color_order", "size", "interpolation"):
        values.add(f"input.{key}", pixels[key], source)
    values.add_resize(pixels["resize"], source, shortest_side=pixels["shortest_side"])
    values.add_normalization(pixels["scale"], pixels["mean"], pixels["std"], source)
    values.add("output.activation", model["output"]["activation"], source)


@cache
def content() -> dict[str, Any]:
    """Return the catalogue: ``repository`` and ``commit`` of the files, and ``models``, one object each."""
    catalogue: dict[str, Any] = read_json(_FILE)
    return catalogue


@cache
def _models() -> dict[str, dict[str, Any]]:
    return {model["sha256"]: model for model in content()["models"]}
