"""Reads every source of a model's configuration in the order of trust.

A reader is imported only when its file is in the folder, so a folder with a complete ``model.json`` pays for no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.model.exporters import model_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

_CATALOGUE_KEYS = (
    "input.layout", "input.color_order", "input.size", "input.resize", "input.interpolation", "input.scale",
    "output.activation",
)  # fmt: skip


def read_files_that_name_the_graph(folder: Path, values: SourcedValues) -> None:
    """Add what ``model.json``, a manifest, Lobe and MMDeploy state, the name of the ONNX file among it.

    Raises:
        ModelError: A file is broken, or describes a model that is not a classifier.
    """
    if values.search(folder, model_json.FILE):
        model_json.read(folder, values)
    if values.search(folder, "cvexport.manifest"):
        from inference.model.exporters import custom_vision

        custom_vision.read_manifest(folder, values)
    if values.search(folder, "signature.json"):
        from inference.model.exporters import lobe

        lobe.read(folder, values)
    if values.search(folder, "pipeline.json"):
        from inference.model.exporters import mmdeploy

        mmdeploy.read(folder, values)


def read_exporter_files(folder: Path, graph_sha256: str, values: SourcedValues) -> None:
    """Add what the catalogue knows of this graph, then what the exporter's files state.

    Raises:
        ModelError: A file is broken, or lacks a number that it refers to.
    """
    if not all(key in values for key in _CATALOGUE_KEYS):
        from inference.model.exporters import catalogue

        catalogue.read(graph_sha256, values)
    if values.search(folder, "config.json", "preprocessor_config.json", "processor_config.json"):
        from inference.model.exporters import hugging_face, timm

        hugging_face.read(folder, values)
        timm.read(folder, values)
    if values.search(folder, "metadata_properties.json"):
        from inference.model.exporters import custom_vision

        custom_vision.read_metadata(folder, values)
    if values.search(folder, "metadata.json"):
        from inference.model.exporters import teachable_machine

        teachable_machine.read(folder, values)
    if values.search(folder, "inference.yml", "inference.yaml"):
        from inference.model.exporters import paddle

        paddle.read(folder, values)
    if values.search(folder, "environment.json"):
        from inference.model.exporters import roboflow

        roboflow.read(folder, values)


def refuse_other_tasks(graph: Path, metadata: Mapping[str, str]) -> None:
    """Refuse a graph whose metadata says that it is no classifier, before any other complaint.

    Raises:
        ModelError: It is a model of Ultralytics for another task.
    """
    if "task" in metadata:
        from inference.model.exporters import ultralytics

        if ultralytics.is_export(metadata):
            ultralytics.refuse_other_tasks(graph, metadata)


def read_graph_metadata(folder: Path, graph_name: str, metadata: Mapping[str, str], values: SourcedValues) -> None:
    """Add what the metadata inside the graph states, then the conventions of the exporter that wrote the folder.

    Raises:
        ModelError: The metadata asks for pixels that an image cannot fill.
    """
    values.add_searched(f"metadata in {graph_name}")
    if "task" in metadata:
        from inference.model.exporters import ultralytics

        if ultralytics.is_export(metadata):
            ultralytics.read(folder, graph_name, metadata, values)
    if any(key.startswith("Image.") for key in metadata):
        from inference.model.exporters import winml

        winml.read(graph_name, metadata, values)
    if (folder / "cvexport.manifest").is_file():
        from inference.model.exporters import custom_vision

        custom_vision.read_postprocessing(graph_name, metadata, values)
        custom_vision.read_convention(folder, values)
