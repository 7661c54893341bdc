"""Imports a model folder: copies the files that the model needs and writes ``model.json``, in one atomic step."""

from __future__ import annotations

import re
import shutil
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError, ModelError
from inference.model import onnx_file
from inference.model.exporters import model_json
from inference.model.folder import load_model
from tools.model.model_json import to_model_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from inference.model_spec import ModelSpec

_SMALL_FILE_BYTES = 16 * 1024 * 1024  # label files and exporters' JSON are far smaller, checkpoints far larger
_FOLDER_NAME = re.compile(r"[\w][\w.+-]{0,99}")


def model_files(folder: Path, spec: ModelSpec) -> list[Path]:
    """Return the graph, its weight files, its label file, and the small files beside them, sorted.

    Other graphs, checkpoints and hidden files are left out: an export's folder may hold ten times the model.
    """
    files = set(weight_files(spec))
    labels = spec.values["labels"].value
    if isinstance(labels, str) and (folder / labels).is_file():
        files.add(folder / labels)
    files |= {
        path
        for path in folder.iterdir()
        if path.is_file()
        and not path.name.startswith(".")
        and path.suffix != ".onnx"
        and path.stat().st_size <= _SMALL_FILE_BYTES
    }
    return sorted(files)


def weight_files(spec: ModelSpec) -> list[Path]:
    """Return the graph and the weight files beside it."""
    return [spec.graph, *(spec.graph.parent / name for name in onnx_file.read(spec.graph).external_files)]


def import_model(folder: Path, parent: Path, *, name: str | None, default_name: str) -> Path:
    """Copy a usable model to a new folder in ``parent``, with a ``model.json`` that states every value.

    Args:
        folder: The model as the exporter wrote it.
        parent: The new folder's parent.
        name: The name of the new folder, and of the model in every row.
        default_name: The folder's name without ``name``, and the model's when no file names it.

    Returns:
        The new folder.

    Raises:
        ModelError: The folder cannot be used.
        ConfigurationError: The new folder exists, or cannot be written.
    """
    spec = load_model(folder).spec
    model_name = spec.identity.name if "name" in spec.values else default_name
    with atomic_folder(parent, name or default_name) as partial:
        for path in model_files(folder, spec):
            target = partial / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        write_model_json(partial, spec, name or model_name)
    return parent / (name or default_name)


def write_model_json(folder: Path, spec: ModelSpec, name: str) -> None:
    """Write ``model.json`` into a folder, and check that the model there has the same version.

    Raises:
        ModelError: Its version differs.
    """
    (folder / model_json.FILE).write_text(to_model_json(spec, name), encoding="utf-8", newline="\n")
    written = load_model(folder).spec
    if written.identity.version != spec.identity.version:
        raise ModelError(
            f"The model.json of {name} would change the model's version ({written.identity.version} instead of"
            f" {spec.identity.version}): copy the folder by hand, and report this."
        )


@contextmanager
def atomic_folder(parent: Path, name: str) -> Iterator[Path]:
    """Give an empty folder that becomes ``parent/name`` when the block ends, and is removed when it raises.

    Raises:
        ConfigurationError: The name cannot be a folder's, the folder exists, or it cannot be written.
    """
    target = parent / checked_name(name)
    if target.exists():
        raise ConfigurationError(f"{target} already exists: remove it, or choose another --name.")
    partial = parent / f".{name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(target)
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def checked_name(name: str) -> str:
    """Return a name that is one folder without any path.

    Raises:
        ConfigurationError: It is not.
    """
    if not _FOLDER_NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r:.60} cannot be the name of a model's folder: choose one with --name.")
    return name
