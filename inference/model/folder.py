"""Loads a model folder: finds the graph, reads every source of configuration, and resolves it into one ``ModelSpec``.

The order of trust: ``model.json``, the catalogue of published models by the graph's SHA-256, the exporter's files, the
metadata inside the graph, the graph itself. A value that no source states is never guessed: the folder is refused with
one sentence.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from inference.errors import ModelError, ModelFileError, TransientError
from inference.model import onnx_file
from inference.model.exporters import model_json
from inference.model.file_errors import cannot_read
from inference.model.labels.find import find_labels
from inference.model.loaded import LoadedModel
from inference.model.read_sources import (
    read_exporter_files,
    read_files_that_name_the_graph,
    read_graph_metadata,
    refuse_other_tasks,
)
from inference.model.resolve_activation import one_is_true
from inference.model.resolve_input import resolve_input
from inference.model.resolve_output import resolve_output
from inference.model.session import Session
from inference.model.sourced_values import SourcedValues
from inference.model_spec import InputSpec, ModelSpec, OutputSpec
from inference.predictions import ModelIdentity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


_UNFORESEEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What Python raises for a value of a wrong type or size. The files may come from anywhere, and a model must never end
the app, so every defect is a refusal."""


def load_model(folder: Path, *, intra_op_threads: int = 1) -> LoadedModel:
    """Load a model folder. The graph has then run once, on zeros.

    Args:
        folder: The folder that an exporter wrote.
        intra_op_threads: See ``Session``.

    Raises:
        ModelFileError: The folder or a file in it is missing, or may not be read.
        ModelError: The folder is broken or incomplete. The message is one sentence that says what to do; for an
            incomplete folder (``IncompleteModelError``) it lists everything that the author must state.
        TransientError: Memory, open files or another resource of the machine ran out.
    """
    try:
        return _load(folder, intra_op_threads)
    except MemoryError as error:
        raise TransientError(f"{folder} could not be loaded: memory ran out.") from error
    except OSError as error:
        raise cannot_read(f"{error.filename or folder!s:.300}", error) from error
    except _UNFORESEEN as error:
        found = (path.name for pattern in ("*.json", "*.y*ml") for path in folder.glob(pattern))
        names = ", ".join(sorted(found)) or "the graph's metadata"
        raise ModelError(
            f"{folder} states a value that no model has ({type(error).__name__}: {error!s:.100}): correct it in"
            f" {names}, or export the model again."
        ) from error


def _load(folder: Path, intra_op_threads: int) -> LoadedModel:
    if not folder.is_dir():
        problem = "is a file; give the folder that holds it" if folder.exists() else "does not exist"
        raise ModelFileError(f"The model folder {folder} {problem}.")
    values = SourcedValues()
    read_files_that_name_the_graph(folder, values)
    graph = _find_graph(folder, values)
    content = onnx_file.read(graph)
    files = [graph, *(_weight_file(graph, name) for name in content.external_files)]
    digests = [_sha256(file, graph) for file in files]
    session = Session(graph, intra_op_threads=intra_op_threads, exact_int8=content.is_quantized)
    refuse_other_tasks(graph, session.metadata)
    read_exporter_files(folder, digests[0], values)
    read_graph_metadata(folder, graph.name, session.metadata, values)

    input_spec = resolve_input(folder, values, graph, session)
    output_spec, labels = resolve_output(
        folder,
        values,
        graph=graph,
        session=session,
        input_spec=input_spec,
        last_operator=content.last_operator,
        candidates=find_labels(folder, values),
    )
    if values.missing:
        from inference.model.refusals.missing_values import IncompleteModelError

        raise IncompleteModelError(folder, graph, values, session)
    identity = ModelIdentity(
        name=str(values.value("name") or folder.resolve().name),
        version=_version(digests, labels, input_spec, output_spec),
    )
    spec = ModelSpec(
        identity,
        graph,
        labels,
        input_spec,
        output_spec,
        dict(values),
        one_is_true=one_is_true(output_spec, content.last_operator.get(output_spec.name, "")),
    )
    return LoadedModel(spec, session)


def _find_graph(folder: Path, values: SourcedValues) -> Path:
    """Return the ONNX file: the one that a file names, else ``model.onnx``, else the only one there is."""
    named = values.value("graph")
    if named is not None:
        return _named_file(folder, named, values.source("graph"))
    for place in (folder, folder / "onnx"):
        # Not glob(): from Python 3.13 it takes a folder that the system cannot open for an empty one.
        found = sorted(file for file in place.iterdir() if _is_graph(file)) if place.is_dir() else []
        if place / "model.onnx" in found:
            graph = place / "model.onnx"
        elif len(found) == 1:
            graph = found[0]
        elif found:
            names = ", ".join(file.name for file in found)
            raise ModelError(
                f'{place} holds {names}: add "graph": "{found[0].name}" to {folder / model_json.FILE} to choose.'
            )
        else:
            continue
        values.add("graph", graph.relative_to(folder).as_posix(), "file name")
        return graph
    from inference.model.refusals.other_formats import no_graph

    raise ModelFileError(no_graph(folder))


def _is_graph(file: Path) -> bool:
    return file.suffix == ".onnx" and not file.name.startswith(".") and file.is_file()


def _named_file(folder: Path, name: object, source: str) -> Path:
    """Return a file that a source names; it must be in the folder."""
    if not isinstance(name, str) or not name:
        raise ModelError(f"{folder}: {source} must be a file name, but is {name!r:.60}.")
    path = folder / name
    if not _is_inside(path, folder):
        raise ModelError(f"{folder}: {source} leads out of the folder: {name!r:.100}.")
    if not path.is_file():
        raise ModelFileError(f"{folder}: {source} names {name!r:.100}, which is not there.")
    return path


def _weight_file(graph: Path, name: str) -> Path:
    """Return a weight file of a graph. The graph may be hostile: the file must be beside it or in a folder below."""
    path = graph.parent / name
    if not _is_inside(path, graph.parent):
        raise ModelError(f"{graph} keeps its weights in {name!r:.100}, which leads out of the folder.")
    if path.exists() and not path.is_file():
        raise ModelError(f"{graph} keeps its weights in {name!r:.100}, which is not a regular file.")
    return path


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, after its links are followed, is inside the folder."""
    return path.resolve().is_relative_to(folder.resolve())


def _sha256(file: Path, graph: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        what = f"{graph} keeps its weights in {file.name}, which" if file != graph else str(graph)
        raise cannot_read(what, error, ": put that file beside it" if file != graph else "") from error


def _version(digests: Iterable[str], labels: tuple[str, ...], input_spec: InputSpec, output_spec: OutputSpec) -> str:
    """Return the first 12 hex digits of a SHA-256 over all that decides an answer.

    That is the graph, its weight files, the labels, the preprocessing and the output's activation.
    """
    parts = [list(digests), labels, _chosen(input_spec), _chosen(output_spec)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _chosen(spec: InputSpec | OutputSpec) -> dict[str, object]:
    """Return the fields without those at their default, so that a new field leaves the version of other models."""
    return {name: value for name, value in spec._asdict().items() if value != spec._field_defaults.get(name, ...)}
