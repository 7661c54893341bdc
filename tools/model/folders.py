"""Takes a model folder in: the files that matter are copied, its ``model.json`` is written, and it appears at once."""

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

_SIDECAR_BYTES = 16 * 1024 * 1024  # label files and exporters' JSON are far smaller, checkpoints far larger
_NAME = re.compile(r"[\w][\w.+-]{0,99}")


def needed_files(folder: Path, spec: ModelSpec) -> list[Path]:
    """Return the graph, its weight files, its label file, and the small files beside them, sorted.

    Other graphs, checkpoints and hidden files stay behind: an export's folder may hold ten times the model.
    """
    wanted = set(weights(spec))
    labels = spec.values["labels"].value
    if isinstance(labels, str) and (folder / labels).is_file():
        wanted.add(folder / labels)
    wanted |= {
        path
        for path in folder.iterdir()
        if path.is_file()
        and not path.name.startswith(".")
        and path.suffix != ".onnx"
        and path.stat().st_size <= _SIDECAR_BYTES
    }
    return sorted(wanted)


def weights(spec: ModelSpec) -> list[Path]:
    """Return the graph and the weight files beside it."""
    return [spec.graph, *(spec.graph.parent / name for name in onnx_file.read(spec.graph).external_files)]


def take_in(folder: Path, to: Path, *, name: str | None, otherwise: str) -> Path:
    """Copy a usable model to a new folder in ``to``, with a ``model.json`` that states every fact.

    Args:
        folder: The model as an exporter left it.
        to: Where the new folder appears.
        name: What a person calls it: the folder, and the model in every row.
        otherwise: What the folder is called without ``name``, and the model too where nobody named it.

    Raises:
        ModelError: The folder cannot be used.
        ConfigurationError: The place is taken, or cannot be written.
    """
    spec = load_model(folder).spec
    stated = spec.identity.name if "name" in spec.values else otherwise
    with appearing(to, name or otherwise) as place:
        for path in needed_files(folder, spec):
            target = place / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        state_facts(place, spec, name or stated)
    return to / (name or otherwise)


def state_facts(place: Path, spec: ModelSpec, name: str) -> None:
    """Write ``model.json`` into a folder and make sure that the model there still answers the same.

    Raises:
        ModelError: It would answer otherwise.
    """
    (place / model_json.FILE).write_text(to_model_json(spec, name), encoding="utf-8")
    written = load_model(place).spec
    if written.identity.version != spec.identity.version:
        raise ModelError(
            f"The model.json of {name} would make another model of it ({written.identity.version} instead of"
            f" {spec.identity.version}): copy the folder by hand, and report this."
        )


@contextmanager
def appearing(to: Path, name: str) -> Iterator[Path]:
    """Give an empty folder that becomes ``to/name`` when the block ends well, and vanishes when it does not.

    Raises:
        ConfigurationError: The name is no folder name, the place is taken, or it cannot be written.
    """
    target = to / checked_name(name)
    if target.exists():
        raise ConfigurationError(f"{target} is already there: remove it, or choose another --name.")
    place = to / f".{name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        place.mkdir(parents=True)
        yield place
        place.rename(target)
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def checked_name(name: str) -> str:
    """Return a name that is one folder and nothing else.

    Raises:
        ConfigurationError: It is not.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r:.60} is no name for a model's folder: give one with --name.")
    return name
