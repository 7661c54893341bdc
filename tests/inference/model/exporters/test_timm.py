"""timm: ``config.json`` with ``pretrained_cfg``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from inference.model_spec import Interpolation, ResizeMode
from tests.inference.model.loading import LINES, NAMES, assert_distinguishes_colours, spec_of, tensor
from tests.inference.model.model_folders import folder, graph, noise

if TYPE_CHECKING:
    from pathlib import Path

CFG: dict[str, Any] = {
    "architecture": "tiny",
    "num_classes": 3,
    "label_names": NAMES,
    "pretrained_cfg": {
        "input_size": [3, 8, 8], "interpolation": "bicubic", "crop_pct": 0.8, "crop_mode": "center",
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    },
}  # fmt: skip


def test_config_alone_is_enough(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(shape=("batch", 3, 8, 8)), config_json=CFG)
    assert_distinguishes_colours(path)
    spec = spec_of(path)
    assert (spec.resize, spec.resized_height, spec.interpolation) == (
        ResizeMode.SHORTEST_SIDE_CROP, 10, Interpolation.BICUBIC,
    )  # fmt: skip
    expected = (np.asarray(noise(10, 10))[1:9, 1:9] / 255 - np.array(spec.mean)) / np.array(spec.std)
    np.testing.assert_allclose(tensor(path, noise(10, 10)), expected.transpose(2, 0, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "crop_pct", "resize", "resized"),
    [("squash", 0.8, ResizeMode.SQUASH, 10), ("border", 1.0, ResizeMode.LETTERBOX, 8)],
)
def test_crop_modes(tmp_path: Path, mode: str, crop_pct: float, resize: ResizeMode, resized: int) -> None:
    settings = CFG["pretrained_cfg"] | {"crop_mode": mode, "crop_pct": crop_pct}
    spec = spec_of(folder(tmp_path, graph(), config_json=CFG | {"pretrained_cfg": settings}))
    assert (spec.resize, spec.resized_width) == (resize, resized)
    if resize is ResizeMode.LETTERBOX:
        assert spec.pad_color == (124, 116, 104)  # the mean, as timm fills


def test_labels_may_be_in_another_file(tmp_path: Path) -> None:
    config = {key: value for key, value in CFG.items() if key != "label_names"}
    assert_distinguishes_colours(folder(tmp_path, graph(), config_json=config, labels_txt=LINES))
