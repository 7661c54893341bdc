"""The activation of logits: the exporter's file decides between softmax and sigmoid, or the author is asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from inference import classifier
from inference.model_spec import Activation
from tests.inference.model.loading import LINES, refusal
from tests.inference.model.model_folders import PIXELS_JSON, folder, graph

if TYPE_CHECKING:
    from pathlib import Path

NAME_TO_INDEX = {"red": 0, "green": 1, "blue": 2}
INDEX_TO_NAME = {"0": "red", "1": "green", "2": "blue"}
MULTI_LABEL = {"problem_type": "multi_label_classification"}
TIMM = {"pretrained_cfg": {"input_size": [3, 8, 8], "mean": [0] * 3, "std": [1] * 3}}
CUSTOM_VISION = {"CustomVision.Postprocess.Method": "ClassificationMultiLabel"}
MANIFEST = {"DomainType": "Classification", "Platform": "ONNX", "LabelFileName": "labels.txt"}

SOFTMAX, SIGMOID = Activation.SOFTMAX, Activation.SIGMOID
EVIDENCE: dict[str, tuple[dict[str, Any], Activation, str]] = {
    "Hugging Face": ({"config_json": {"id2label": INDEX_TO_NAME}}, SOFTMAX, "config.json: no problem_type"),
    "Hugging Face, one true class": (
        {"config_json": {"id2label": INDEX_TO_NAME, "problem_type": "single_label_classification"}},
        SOFTMAX,
        "config.json: problem_type",
    ),
    "Hugging Face, each class alone": (
        {"config_json": {"model_type": "vit", **MULTI_LABEL}, "labels_txt": LINES},
        SIGMOID,
        "config.json: problem_type",
    ),
    "a Hugging Face processor alone": (
        {"preprocessor_config_json": {"size": 8, "image_mean": 0.5, "image_std": 0.5}, "labels_txt": LINES},
        SOFTMAX,
        "preprocessor_config.json: no problem_type",
    ),
    "timm": ({"config_json": TIMM, "labels_txt": LINES}, SOFTMAX, "timm's convention"),
    "timm, each class alone": ({"config_json": {**TIMM, **MULTI_LABEL}, "labels_txt": LINES}, SIGMOID, "problem_type"),
    "Custom Vision": (
        {"metadata_properties_json": CUSTOM_VISION, "labels_txt": LINES},
        SIGMOID,
        "metadata_properties.json: CustomVision.Postprocess.Method",
    ),
    "Keras folders": ({"class_indices_json": NAME_TO_INDEX}, SOFTMAX, "class_indices.json: the training photos"),
    "torchvision folders": ({"class_to_idx_json": NAME_TO_INDEX}, SOFTMAX, "class_to_idx.json: the training photos"),
    "folders by index": ({"idx_to_class_json": INDEX_TO_NAME}, SOFTMAX, "idx_to_class.json: the training photos"),
    "ONNX Model Zoo": ({"synset_txt": LINES}, SOFTMAX, "synset.txt: ImageNet"),
    "TorchServe": ({"index_to_name_json": INDEX_TO_NAME}, SOFTMAX, "index_to_name.json: TorchServe"),
}
"""The files beside a graph of logits, the activation that they show, and the source that names it."""


@pytest.mark.parametrize(("files", "activation", "source"), EVIDENCE.values(), ids=EVIDENCE)
def test_an_exporter_s_file_decides_what_logits_need(
    tmp_path: Path, files: dict[str, Any], activation: Activation, source: str
) -> None:
    spec = classifier.load(folder(tmp_path, graph(), model_json=PIXELS_JSON, **files)).spec
    assert spec.output.activation is activation
    assert source in spec.values["output.activation"].source


@pytest.mark.parametrize("files", [
    {"labels_txt": LINES}, {"labels_json": ["red", "green", "blue"]}, {"classes_txt": LINES},
    {"labels_txt": LINES, "labels_csv": "0,red\n1,green\n2,blue\n"}, {"metadata_json": {}, "labels_txt": LINES},
], ids=str)  # fmt: skip
def test_logits_without_evidence_are_asked_about(tmp_path: Path, files: dict[str, Any]) -> None:
    path = folder(tmp_path, graph(), model_json=PIXELS_JSON, **files)
    message = refusal(path)
    assert "if one class of a photo is true" in message
    assert '"output": {"activation": "?"}' in message
    for activation in ("softmax", "sigmoid"):
        folder(path, graph(), model_json=PIXELS_JSON | {"output": {"activation": activation}})
        assert classifier.load(path).spec.output.activation == activation


def test_the_metadata_of_a_custom_vision_graph_decides(tmp_path: Path) -> None:
    model = graph(metadata=CUSTOM_VISION)
    (tmp_path / "cvexport.manifest").write_text(json.dumps(MANIFEST))
    spec = classifier.load(folder(tmp_path, model, model_json=PIXELS_JSON, labels_txt=LINES)).spec
    assert spec.output.activation is SIGMOID
    assert spec.values["output.activation"].source == "model.onnx: CustomVision.Postprocess.Method"
