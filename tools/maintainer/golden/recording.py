"""Writes ``recording.npz`` beside an exported model: samples of each picture's tensor, and all of its scores."""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.maintainer.golden.pictures import SIZES, render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

CLASSES = ["ant", "bee", "cat", "dog", "elk"]
"""The labels of every recorded model, in the order of its scores."""
_SAMPLES = 400


def write_json(path: Path, content: Any) -> None:
    """Write JSON as the exporters' users do."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def record(
    folder: Path, packages: Sequence[str], run: Callable[[Image.Image], tuple[NDArray[Any], NDArray[Any]]]
) -> None:
    """Record what the library itself makes of each picture.

    Args:
        folder: The exported model; ``recording.npz`` and ``versions.json`` are written into it.
        packages: The distributions whose versions are written.
        run: Takes a picture; returns the input tensor of the graph and the probabilities in the order of the classes.
    """
    content: dict[str, NDArray[Any]] = {}
    for name in SIZES:
        tensor, scores = run(render(name))
        flat = np.asarray(tensor).ravel()
        stride = max(1, flat.size // _SAMPLES)
        while math.gcd(stride, flat.size) != 1:  # so the samples come from every row, column and channel
            stride += 1
        content[f"{name}.shape"] = np.array(np.shape(tensor))
        content[f"{name}.stride"] = np.array(stride)
        content[f"{name}.samples"] = flat[::stride]
        content[f"{name}.scores"] = np.asarray(scores, np.float32).ravel()
    np.savez_compressed(folder / "recording.npz", allow_pickle=False, **content)
    write_json(folder / "versions.json", {package: version(package) for package in packages})
    print(folder, {name: content[f"{name}.scores"].round(3).tolist() for name in SIZES}, flush=True)
