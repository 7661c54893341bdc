"""A model in a folder of this machine, with the same interface as one in blob storage (``BlobModel``)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from storage.models.blob_models import ModelVersion

if TYPE_CHECKING:
    from pathlib import Path


class LocalModel:
    """A model's folder. Its version is a hash of file names, sizes and modification times."""

    is_shared = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    def current_version(self) -> ModelVersion:
        """Return the version of the files. A missing folder has a version too, which the loader then refuses."""
        files = []
        for folder in (self._folder, self._folder / "onnx"):  # a model's files are in these two
            if folder.is_dir():
                paths = [path for path in folder.iterdir() if path.is_file()]
                files += [(folder.name, path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        return ModelVersion(hashlib.sha256(json.dumps(sorted(files)).encode()).hexdigest()[:12])

    def fetch(self, _version: ModelVersion) -> Path:
        """Return the folder."""
        return self._folder
