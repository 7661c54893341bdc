"""Writes the zip. The same files give the same bytes, on every machine and at every time."""

from __future__ import annotations

import hashlib
import zipfile
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_BYTES = 75 * 1000 * 1000
"""The largest package: each new instance downloads and unpacks it before its first image."""
_EARLIEST_TIME = (1980, 1, 1, 0, 0, 0)  # of the zip format
_PERMISSIONS = 0o100644 << 16  # a regular file, rw-r--r--
_UNIX = 3
_LEVEL = 6  # 9 takes three times as long and saves half a percent


def write(target: Path, files: Mapping[str, Path], max_bytes: int = MAX_BYTES) -> str:
    """Write a zip, atomically.

    Args:
        target: The zip; an existing file is replaced.
        files: Path in the zip, with ``/``, to the file.
        max_bytes: Its largest size.

    Returns:
        Its SHA-256, in hex.

    Raises:
        ConfigurationError: It is larger; nothing is written.
    """
    unfinished = target.with_name(f".{target.name}.partial")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
            for name in sorted(files):
                entry = zipfile.ZipInfo(name, _EARLIEST_TIME)
                entry.create_system, entry.external_attr, entry.compress_type = (
                    _UNIX,
                    _PERMISSIONS,
                    zipfile.ZIP_DEFLATED,
                )
                archive.writestr(entry, files[name].read_bytes(), compresslevel=_LEVEL)
        size = unfinished.stat().st_size
        if size > max_bytes:
            largest = sorted(files, key=lambda name: -files[name].stat().st_size)[:3]
            raise ConfigurationError(
                f"The package would have {size / 1e6:.1f} MB, more than {max_bytes / 1e6:.0f} MB. Its largest files are"
                f" {', '.join(largest)}. Put a large model into blob storage: python -m tools model publish, and"
                " MODEL_BLOB."
            )
        with unfinished.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return digest
