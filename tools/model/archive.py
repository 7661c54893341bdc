"""Unpacks a downloaded model: a ZIP file, which may be hostile, or the ONNX file itself."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from inference.errors import ConfigurationError, ModelError
from inference.model import onnx_file

_MAX_FILES = 1000
_MAX_BYTES = 8 << 30  # twice the largest known graph


def unpack(file: Path, folder: Path, name: str) -> Path:
    """Unpack a download into an empty folder and return the folder in it that holds the graph.

    Args:
        file: A ZIP file or an ONNX file, distinguished by content.
        folder: The empty folder.
        name: The new name of an ONNX file.

    Raises:
        ModelError: The file is neither (a web page, a Git LFS pointer, JSON), or the archive holds no graph.
        ConfigurationError: The archive is broken, too large, or leads out of its folder.
    """
    if not zipfile.is_zipfile(file):
        onnx_file.read(file)
        shutil.copyfile(file, folder / name)
        return folder
    try:
        with zipfile.ZipFile(file) as archive:
            _extract(archive, folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ConfigurationError(f"{file} is a damaged or encrypted ZIP file: download it again.") from error
    graphs = sorted(folder.rglob("*.onnx"), key=lambda path: (len(path.parts), path))
    if not graphs:
        raise ModelError(f"{file} holds no .onnx file: export the model to ONNX.")
    home = graphs[0].parent
    return home.parent if home.name == "onnx" and home != folder else home


def _extract(archive: zipfile.ZipFile, folder: Path) -> None:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    total = sum(entry.file_size for entry in entries)
    if len(entries) > _MAX_FILES or total > _MAX_BYTES:
        raise ConfigurationError(
            f"{archive.filename} would unpack to {len(entries):,} files of {total:,} bytes, more than a model has."
        )
    for entry in entries:
        path = PurePosixPath(entry.filename)
        target = folder / Path(*path.parts)
        if path.is_absolute() or ".." in path.parts or not target.resolve().is_relative_to(folder.resolve()):
            raise ConfigurationError(f"{archive.filename} leads out of its folder: {entry.filename!r:.100}.")
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as packed, target.open("xb") as unpacked:
            # zipfile stops at the size that the entry declares, so the total above is an upper bound.
            shutil.copyfileobj(packed, unpacked)
