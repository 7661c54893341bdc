"""Fetched models on this machine's disk, shared by its processes: each version is downloaded once and appears whole.

ROOT/<place>/.lock                   held by whoever fetches; the kernel frees it when that process dies
ROOT/<place>/<version>/<name>/...    a whole version, renamed into place
ROOT/<place>/<version>.partial/...   one being fetched; under the lock any other one is a dead process's, and removed
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_KEPT_VERSIONS = 3  # the one that serves, the one before it, and one that a slow neighbour may still be loading


class ModelCache:
    """A folder of fetched models. Safe for many threads and processes at once.

    Args:
        root: Where; ``None`` chooses one in the system's temporary folder that only this user can write.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root

    def folder(
        self, place: str, version: str, name: str, *, sizes: Mapping[str, int], fill: Callable[[Path], object]
    ) -> Path:
        """Return the folder of one version, after filling it if it is not there.

        Args:
            place: Where versions of this model come from; any text.
            version: Which one; a name for a folder.
            name: What the returned folder is called.
            sizes: The bytes of every file in it: what is there but not of this size is fetched again.
            fill: Writes the files into an empty folder. It runs in one process at a time.

        Raises:
            ConfigurationError: The cache cannot be written, or is another user's.
        """
        try:
            home = (self._root or _private_root()) / hashlib.sha256(place.encode()).hexdigest()[:16]
            home.mkdir(parents=True, exist_ok=True)
            with _locked(home / ".lock"):
                found = home / version / name
                if not _is_whole(found, sizes):
                    for leftover in (*home.glob("*.partial"), home / version):
                        shutil.rmtree(leftover, ignore_errors=True)
                    partial = home / f"{version}.partial"
                    (partial / name).mkdir(parents=True)
                    fill(partial / name)
                    partial.rename(home / version)
                    _forget_old(home)
                return found
        except OSError as error:
            where = error.filename or self._root
            raise ConfigurationError(
                f"The model cache cannot be written ({error.strerror or error}: {where}): free the disk, or set"
                " MODEL_CACHE_DIR."
            ) from error


def _private_root() -> Path:
    """Return a folder in the temporary folder, which everybody can write, that nobody else could have planted."""
    root = Path(tempfile.gettempdir()) / f"image-classifier-models-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    told = root.lstat()
    if told.st_uid != os.getuid() or told.st_mode & 0o022 or root.is_symlink():
        raise ConfigurationError(f"The model cache {root} is not this user's alone: remove it, or set MODEL_CACHE_DIR.")
    return root


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that excludes threads and processes alike, and that no death can leave behind."""
    with path.open("ab") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def _is_whole(folder: Path, sizes: Mapping[str, int]) -> bool:
    def size(name: str) -> int | None:
        try:
            return folder.joinpath(*PurePosixPath(name).parts).stat().st_size
        except OSError:
            return None

    return all(size(name) == wanted for name, wanted in sizes.items())


def _forget_old(home: Path) -> None:
    versions = sorted((path for path in home.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in versions[:-_KEPT_VERSIONS]:
        shutil.rmtree(path, ignore_errors=True)
