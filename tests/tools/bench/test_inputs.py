"""Photos and networks cost what real ones cost."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from PIL import Image as Picture

from inference.model.folder import load_model
from tests.tools.bench.tensors import tensor_of
from tools.bench.inputs.networks import CLASSES, NETWORKS, model_folder
from tools.bench.inputs.photos import KINDS, photos

if TYPE_CHECKING:
    from pathlib import Path


# Weights of the published networks. Batch normalisation has two numbers per channel, its folded form has one.
@pytest.mark.parametrize(("name", "parameters"), [("MobileNetV2", 3_504_872), ("ResNet-18", 11_689_512)])
def test_networks_have_the_published_number_of_weights(cache: Path, name: str, parameters: int) -> None:
    graph = onnx.load(model_folder(name, cache) / "model.onnx").graph
    sizes = {weight.name: int(np.prod(weight.dims)) for weight in graph.initializer}
    folded = sum(sizes[node.input[2]] for node in graph.node if node.op_type == "Conv")
    clips = sum(len(node.input) - 1 for node in graph.node if node.op_type == "Clip")
    assert sum(sizes.values()) - clips + folded == parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_distinguish_photos_without_denormals(cache: Path, small_photos: list[bytes], name: str) -> None:
    model = load_model(model_folder(name, cache))
    outputs = [model.run(tensor_of(model, photo)) for photo in small_photos[:2]]
    assert outputs[0].shape == (1, CLASSES)
    assert not np.allclose(outputs[0], outputs[1])
    assert all(0.01 < float(np.std(output)) < 1e4 for output in outputs)


def test_photos_have_their_size_and_a_phones_bytes_per_pixel(small_photos: list[bytes]) -> None:
    kind = KINDS["0.3 MP"]
    for photo in small_photos:
        assert Picture.open(io.BytesIO(photo)).size == kind.size
        assert len(photo) / (kind.megapixels * 1e6) == pytest.approx(kind.bytes_per_px, rel=0.1)


def test_photos_are_rendered_once(cache: Path, small_photos: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.bench.inputs.photos.render", None)
    assert photos(KINDS["0.3 MP"], cache) == small_photos
