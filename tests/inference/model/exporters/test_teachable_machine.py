"""Teachable Machine: ``metadata.json`` of its TensorFlow.js export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inference.model_spec import ResizeMode
from tests.inference.model.loading import NAMES, assert_distinguishes_colours, spec_of, tensor
from tests.inference.model.model_folders import folder, graph, noise

if TYPE_CHECKING:
    from pathlib import Path


def test_the_metadata_is_enough(tmp_path: Path) -> None:
    metadata = {"packageName": "@teachablemachine/image", "labels": NAMES, "imageSize": 8, "tmVersion": "2.4.7"}
    model = graph(shape=("N", 8, 8, 3), layout="NHWC", operators=("Softmax",))
    path = folder(tmp_path, model, metadata_json=metadata, labels_txt="0 red\n1 green\n2 blue\n")
    assert_distinguishes_colours(path)
    np.testing.assert_allclose(tensor(path, noise(8, 8)), np.asarray(noise(8, 8)) / 127.5 - 1, atol=1e-5)
    assert spec_of(path).resize is ResizeMode.SHORTEST_SIDE_CROP


def test_the_graph_of_tensorflow_js_is_not_read_as_model_json(tmp_path: Path) -> None:
    metadata = {"packageName": "@teachablemachine/image", "labels": NAMES, "imageSize": 8}
    export = {"modelTopology": {}, "weightsManifest": [], "format": "layers-model"}
    model = graph(shape=("N", 8, 8, 3), layout="NHWC", operators=("Softmax",))
    assert_distinguishes_colours(folder(tmp_path, model, metadata_json=metadata, model_json=export))
