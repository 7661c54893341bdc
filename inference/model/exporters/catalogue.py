"""Models that are known by the SHA-256 of their ONNX file, because their publisher wrote the facts only in prose."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference.model.sourced_values import Facts

_FILE = Path(__file__).with_name("known_models.json")


def read(sha256: str, facts: Facts) -> None:
    """State what is known of exactly this file; 64 hex digits."""
    facts.looked_in(f"{_FILE.name} for {sha256[:12]}")
    model = _models().get(sha256)
    if model is None:
        return
    source = f"{_FILE.name}: {model['name']}"
    pixels, activation = model["input"], model["output"]["activation"]
    for key in ("layout", "color_order", "size", "interpolation"):
        facts.state(f"input.{key}", pixels[key], source)
    facts.state_geometry(pixels["resize"], source, shortest_side=pixels["shortest_side"])
    facts.state_normalisation(pixels["scale"], pixels["mean"], pixels["std"], source)
    facts.state("output.activation", activation, source)


@cache
def content() -> dict[str, Any]:
    """Return the catalogue: ``repository`` and ``commit`` where the files are, and ``models`` with what is known."""
    catalogue: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return catalogue


@cache
def _models() -> dict[str, dict[str, Any]]:
    return {model["sha256"]: model for model in content()["models"]}
