"""Fills the emulator with what a bench needs: photos to classify, and a model to load from storage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from azure.storage.blob import BlobServiceClient

from tools.bench.networks import model_folder
from tools.bench.photos import KINDS, photos
from tools.bench.storage_names import INCOMING, MODELS, blob_names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def fill(connection_string: str, cache: Path, uploads: Mapping[str, int]) -> None:
    """Upload so many blobs of each kind of photo, and the network."""
    service = BlobServiceClient.from_connection_string(connection_string)
    incoming, models = service.create_container(INCOMING), service.create_container(MODELS)
    models.upload_blob("model.onnx", (model_folder("MobileNetV2", cache) / "model.onnx").read_bytes())
    for photo, count in uploads.items():
        contents = photos(KINDS[photo], cache)
        with ThreadPoolExecutor(4) as pool:
            for number, name in enumerate(blob_names(photo, count)):
                pool.submit(incoming.upload_blob, name, contents[number % len(contents)])
