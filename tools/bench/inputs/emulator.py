"""The content of the emulator during a bench: photos to classify, and a model that can be loaded from storage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from azure.storage.blob import BlobServiceClient

from tools.bench.inputs.networks import DEFAULT_NETWORK, model_folder
from tools.bench.inputs.photos import KINDS, photos

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INCOMING, RESULTS, TABLE, MODELS = "incoming", "results", "classifications", "models"
CONNECTION = "ImageStorage"
"""The environment variable that holds the emulator's connection string."""


def folder(photo: str) -> str:
    """Return the folder of one kind of photo in the incoming container."""
    return photo.replace(" ", "-").lower()


def blob_names(photo: str, count: int) -> list[str]:
    """Return the blob names of one kind of photo."""
    return [f"{folder(photo)}/{number:04}.jpg" for number in range(count)]


def fill(connection_string: str, cache: Path, uploads: Mapping[str, int]) -> None:
    """Upload the model, and that many blobs of each kind of photo."""
    service = BlobServiceClient.from_connection_string(connection_string)
    incoming, models = service.create_container(INCOMING), service.create_container(MODELS)
    models.upload_blob("model.onnx", (model_folder(DEFAULT_NETWORK, cache) / "model.onnx").read_bytes())
    for photo, count in uploads.items():
        contents = photos(KINDS[photo], cache)
        with ThreadPoolExecutor(4) as pool:
            for number, name in enumerate(blob_names(photo, count)):
                pool.submit(incoming.upload_blob, name, contents[number % len(contents)])
