"""Installed packages and a model, as the tests of several modules need them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPES = Path(__file__).resolve().parents[3] / "models" / "shapes"


@pytest.fixture
def installed() -> Callable[..., None]:
    """Makes the metadata of an installed package."""

    def install(site: Path, name: str, version: str, files: tuple[str, ...] = ()) -> None:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "RECORD").write_text(
            "".join(f"{path},,\n" for path in (*files, f"{info.name}/METADATA", f"{info.name}/RECORD"))
        )
        for path in files:
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).touch()

    return install


@pytest.fixture
def my_model(tmp_path: Path) -> Path:
    """The sample model in its owner's folder: weights beside the graph, and private files."""
    folder = tmp_path / "my-model"
    shutil.copytree(SHAPES, folder)
    graph = onnx.load(folder / "model.onnx")
    large = max(graph.graph.initializer, key=lambda each: numpy_helper.to_array(each).size)
    assert isinstance(numpy_helper.to_array(large), np.ndarray)
    onnx.save(graph, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=1024)
    for stray in ("training.csv", "photo.jpg", "checkpoint.pt", ".env", "other.onnx"):
        (folder / stray).write_bytes(b"private")
    return folder
