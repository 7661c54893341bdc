"""Azure Custom Vision: a manifest, metadata beside the graph and inside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from inference import classifier
from inference.errors import ModelError
from inference.model_spec import ColorOrder, ResizeMode
from tests.inference.model.loading import LINES, assert_distinguishes_colours, refusal, spec_of, tensor
from tests.inference.model.model_folders import RED, folder, graph, png, zip_map_graph

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = {
    "DomainType": "Classification", "Platform": "ONNX", "Flavor": "ONNX12", "ExporterVersion": "2.0",
    "ModelFileName": "model.onnx", "LabelFileName": "labels.txt",
    "MetadataPropsFileName": "metadata_properties.json", "SchemaVersion": "1.0",
}  # fmt: skip
PROPERTIES = {
    "CustomVision.Metadata.Version": "1.2",
    "CustomVision.Postprocess.Method": "ClassificationMultiClass",
    "CustomVision.Preprocess.CropMethod": "NoCrop",
    "CustomVision.Preprocess.NormalizeMean": "[0.0, 0.0, 0.0]",
    "CustomVision.Preprocess.NormalizeStd": "[1.0, 1.0, 1.0]",
    "CustomVision.Preprocess.ResizeMethod": "Stretch",
    "Image.BitmapPixelFormat": "Bgr8",
    "Image.ColorSpaceGamma": "SRGB",
    "Image.NominalPixelRange": "NominalRange_0_255",
}
BGR_LINES = "blue\r\ngreen\r\nred"  # class 0 is the mean of the first channel, which is blue


def write(path: Path, properties: dict[str, str] | None = None, **kind: Any) -> Path:
    """Write the folder of an ONNX export."""
    (path / "cvexport.manifest").write_text(json.dumps(MANIFEST))
    folder(path, zip_map_graph(["blue", "green", "red"], **kind), labels_txt=BGR_LINES)
    if properties is not None:
        (path / "metadata_properties.json").write_text(json.dumps(properties))
    return path


@pytest.mark.parametrize("label_first", [True, False])
def test_an_onnx_export(tmp_path: Path, label_first: bool) -> None:  # noqa: FBT001 - a parameter
    path = write(tmp_path, PROPERTIES, label_first=label_first)
    assert_distinguishes_colours(path)
    answer = classifier.load(path).classify(png(RED))
    assert answer.label_index == 2
    assert answer.score == pytest.approx(1.0)  # probabilities stay as they are: no second softmax
    np.testing.assert_array_equal(tensor(path, Image.new("RGB", (8, 8), RED))[:, 0, 0], [0, 0, 255])


def test_an_older_export_without_metadata_is_bgr_0_to_255(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert_distinguishes_colours(path)
    assert "cvexport.manifest" in classifier.load(path).spec.values["input.color_order"].source


def test_metadata_inside_the_graph_wins_over_the_convention(tmp_path: Path) -> None:
    path = write(tmp_path)
    metadata = {"Image.BitmapPixelFormat": "Rgb8", "Image.NominalPixelRange": "Normalized_0_1"}
    model = graph(metadata=metadata, operators=["Softmax"])
    (path / "model.onnx").write_bytes(model.SerializeToString())
    spec = spec_of(path)
    assert spec.color_order is ColorOrder.RGB
    assert spec.scale == pytest.approx(1 / 255)


def test_the_centre_square_is_a_shortest_side_crop(tmp_path: Path) -> None:
    crop = {"CustomVision.Preprocess.CropMethod": "FullImageShorterSide"}
    assert spec_of(write(tmp_path, PROPERTIES | crop)).resize is ResizeMode.SHORTEST_SIDE_CROP


def test_an_object_detector_is_refused_by_its_manifest(tmp_path: Path) -> None:
    path = write(tmp_path)
    (path / "cvexport.manifest").write_text('{"DomainType": "ObjectDetection", "Platform": "ONNX"}')
    with pytest.raises(ModelError, match="ObjectDetection"):
        classifier.load(path)


def test_a_mean_without_a_scale_is_asked(tmp_path: Path) -> None:
    mean = {"CustomVision.Preprocess.NormalizeMean": "[123.0, 117.0, 104.0]", "Image.BitmapPixelFormat": "Bgr8"}
    path = folder(tmp_path, graph(operators=("Softmax",)), labels_txt=LINES, metadata_properties_json=mean)
    message = refusal(path)
    assert "NormalizeMean is '[123.0, 117.0, 104.0]', but no file states the scale" in message
    assert message.endswith(': {"input": {"scale": "?", "mean": "?", "std": "?"}}')
    stated = {"input": {"scale": 1, "mean": [123, 117, 104], "std": 1}}
    spec = classifier.load(folder(path, graph(operators=("Softmax",)), model_json=stated)).spec
    assert (spec.input.mean, spec.input.color_order) == ((123, 117, 104), "BGR")
