"""Downloaded models on this machine's disk, shared by its processes: each version is downloaded once and appears whole.

ROOT/<place>/.lock                   held by the process that downloads; the system frees it when that process dies
ROOT/<place>/<version>/<name>/...    a whole version, renamed into place
ROOT/<place>/<version>.json          the SHA-256 of each of its files, as they were downloaded
ROOT/<place>/<version>.partial/...   a download; under the lock any other one belongs to a dead process and is removed

Every use compares the files with their SHA-256, so a version that a crash, a full disk or a person has changed is
downloaded again. Hashing costs about a second for a gigabyte, once for each process and version.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError, TransientError
from storage.models.file_lock import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KEPT_VERSIONS = 3  # the one that serves, the one before it, and one that another process may still be loading
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR, errno.EIO})


class ModelCache:
    """A folder of downloaded models. Safe for many threads and processes at once.

    Args:
        root: The folder; ``None`` is one in the system's temporary folder that only this user can write.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root

    def folder(
        self, place: str, version: str, name: str, *, sha256: Mapping[str, str | None], fill: Callable[[Path], object]
    ) -> Path:
        """Return the folder of one version, after filling it if it is not there or has other content than it had.

        Args:
            place: The origin of this model's versions; any text.
            version: The version; a valid name of a folder.
            name: The name of the returned folder.
            sha256: Every file in it with its SHA-256, 64 hex digits, or ``None`` for the one of its download.
            fill: Writes the files into an empty folder. It runs in one process at a time.

        Raises:
            ConfigurationError: The cache cannot be written, or is another user's.
            TransientError: The machine has no memory or open files left for now.
        """
        try:
            home = (self._root or _private_root()) / hashlib.sha256(place.encode()).hexdigest()[:16]
            home.mkdir(parents=True, exist_ok=True)
            with locked(home / ".lock"):
                found = home / version / name
                record = home / f"{version}.json"
                if not _is_whole(found, sha256, record):
                    for leftover in (*home.glob("*.partial"), home / version):
                        shutil.rmtree(leftover, ignore_errors=True)
                    partial = home / f"{version}.partial"
                    (partial / name).mkdir(parents=True)
                    fill(partial / name)
                    record.write_text(json.dumps(_digests(partial / name)), encoding="utf-8")
                    partial.rename(home / version)
                    _remove_old(home)
                return found
        except OSError as error:
            path = error.filename or self._root
            if error.errno in _PASSING:
                raise TransientError(f"The model cache cannot be used for now ({error.strerror}: {path}).") from error
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


def _is_whole(folder: Path, sha256: Mapping[str, str | None], record: Path) -> bool:
    """Whether a folder holds these files, no other ones, and in each the bytes that were downloaded."""
    try:
        recorded = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return False  # there is no record, or it is damaged
    if not isinstance(recorded, dict):
        return False
    expected = {name: digest or recorded.get(name) for name, digest in sha256.items()}
    return recorded == expected == _digests(folder)


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder by its path there, with ``/``. A link has none."""

    def fail(error: OSError) -> None:
        raise error

    found = {}
    for parent, _, names in os.walk(folder, onerror=fail if folder.exists() else None):
        for path in (Path(parent, name) for name in names):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink() or not path.is_file():
                found[name] = "not a regular file"
                continue
            with path.open("rb") as opened:
                found[name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return found


def _remove_old(home: Path) -> None:
    versions = sorted((path for path in home.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in versions[:-_KEPT_VERSIONS]:
        shutil.rmtree(path, ignore_errors=True)
    for record in home.glob("*.json"):
        if not record.with_suffix("").exists():
            record.unlink(missing_ok=True)
