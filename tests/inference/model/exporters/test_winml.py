"""Windows ML: image metadata inside the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from inference import classifier
from inference.errors import ModelError
from tests.inference.model.loading import LINES, assert_distinguishes_colours, tensor
from tests.inference.model.model_folders import folder, graph

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("pixel_range", "low", "high"),
    [("NominalRange_0_255", 0, 255), ("Normalized_0_1", 0, 1), ("Normalized_1_1", -1, 1),
     ("NominalRange_16_235", 16, 235)],
)  # fmt: skip
def test_metadata_inside_the_graph_is_enough(tmp_path: Path, pixel_range: str, low: float, high: float) -> None:
    metadata = {"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": pixel_range}
    path = folder(tmp_path, graph(metadata=metadata, operators=["Softmax"]), labels_txt="blue\ngreen\nred")
    assert_distinguishes_colours(path)
    np.testing.assert_allclose(tensor(path, Image.new("RGB", (8, 8), "black")), low, atol=1e-5)
    np.testing.assert_allclose(tensor(path, Image.new("RGB", (8, 8), "white")), high, atol=1e-5)


def test_four_channels_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, graph(metadata={"Image.BitmapPixelFormat": "Bgra8"}), labels_txt=LINES)
    with pytest.raises(ModelError, match="Bgra8"):
        classifier.load(path)
