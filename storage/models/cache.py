"""Downloaded models on this machine's disk, shared by its processes: each version is downloaded once and appears whole.

ROOT/<place>/.lock                   held by the process that downloads; the system frees it when that process dies
ROOT/<place>/<version>/<name>/...    a whole version, renamed into place
ROOT/<place>/<version>.partial/...   a download; under the lock any other one belongs to a dead process and is removed
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from storage.models.file_lock import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KEPT_VERSIONS = 3  # the one that serves, the one before it, and one that another process may still be loading


class ModelCache:
    """A folder of downloaded models. Safe for many threads and processes at once.

    Args:
        root: The folder; ``None`` is one in the system's temporary folder that only this user can write.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root

    def folder(
        self, place: str, version: str, name: str, *, sizes: Mapping[str, int], fill: Callable[[Path], object]
    ) -> Path:
        """Return the folder of one version, after filling it if it is not there.

        Args:
            place: The origin of this model's versions; any text.
            version: The version; a valid name of a folder.
            name: The name of the returned folder.
            sizes: The bytes of every file in it: a version with a missing file or another size is fetched again.
            fill: Writes the files into an empty folder. It runs in one process at a time.

        Raises:
            ConfigurationError: The cache cannot be written, or is another user's.
        """
        try:
            home = (self._root or _private_root()) / hashlib.sha256(place.encode()).hexdigest()[:16]
            home.mkdir(parents=True, exist_ok=True)
            with locked(home / ".lock"):
                found = home / version / name
                if not _is_whole(found, sizes):
                    for leftover in (*home.glob("*.partial"), home / version):
                        shutil.rmtree(leftover, ignore_errors=True)
                    partial = home / f"{version}.partial"
                    (partial / name).mkdir(parents=True)
                    fill(partial / name)
                    partial.rename(home / version)
                    _remove_old(home)
                return found
        except OSError as error:
            path = error.filename or self._root
            raise ConfigurationError(
                f"The model cache cannot be written ({error.strerror or error}: {path}): free the disk, or set"
                " MODEL_CACHE_DIR."
            ) from error


if sys.platform == "win32":

    def _private_root() -> Path:
        root = Path(tempfile.gettempdir(), "image-classifier-models")  # the temporary folder belongs to one user
        root.mkdir(exist_ok=True)
        return root
else:

    def _private_root() -> Path:
        """Return a folder in the temporary folder that no other user could have put there."""
        root = Path(tempfile.gettempdir(), f"image-classifier-models-{os.getuid()}")
        root.mkdir(mode=0o700, exist_ok=True)
        status = root.lstat()
        if status.st_uid != os.getuid() or status.st_mode & 0o022 or root.is_symlink():
            raise ConfigurationError(
                f"The model cache {root} is not this user's alone: remove it, or set MODEL_CACHE_DIR."
            )
        return root


def _is_whole(folder: Path, sizes: Mapping[str, int]) -> bool:
    def size(name: str) -> int | None:
        try:
            return folder.joinpath(*PurePosixPath(name).parts).stat().st_size
        except OSError:
            return None

    return all(size(name) == expected for name, expected in sizes.items())


def _remove_old(home: Path) -> None:
    versions = sorted((path for path in home.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in versions[:-_KEPT_VERSIONS]:
        shutil.rmtree(path, ignore_errors=True)
