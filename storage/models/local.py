"""A model in a folder of this machine, seen as ``storage.models.blob_models`` sees one in blob storage."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from storage.models.blob_models import ModelVersion

if TYPE_CHECKING:
    from pathlib import Path


class LocalModel:
    """A model's folder. Its version is what the file system says: names, sizes, times."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def current_version(self) -> ModelVersion:
        """Say which version is there; a folder that is missing is a version too, which the loader refuses."""
        seen = []
        for place in (self._folder, self._folder / "onnx"):  # where a model's files may lie
            if place.is_dir():
                files = [(path.name, path.stat()) for path in place.iterdir() if path.is_file()]
                seen += [(place.name, name, told.st_size, told.st_mtime_ns) for name, told in files]
        return ModelVersion(hashlib.sha256(json.dumps(sorted(seen)).encode()).hexdigest()[:12])

    def fetch(self, _version: ModelVersion) -> Path:
        """Return the folder."""
        return self._folder
