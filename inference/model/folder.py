"""Opens a model folder: finds its graph, asks every reader for facts, and settles them into one ``ModelSpec``.

Order of trust: our ``model.json``, the file's own hash in our catalogue, the exporter's files, metadata inside the
graph, then the shape of the graph itself. What nobody states is refused with one sentence, never guessed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from inference.errors import ModelError
from inference.model import onnx_file
from inference.model.exporters import catalogue, custom_vision, hugging_face, model_json, teachable_machine, timm, winml
from inference.model.find_labels import state_labels
from inference.model.resolve_input import resolve_input
from inference.model.resolve_output import resolve_output
from inference.model.session import Session
from inference.model.sourced_values import Facts
from inference.model_spec import InputSpec, ModelSpec, OutputSpec
from inference.predictions import ModelIdentity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def open_model(folder: Path, *, intra_op_threads: int = 1) -> tuple[ModelSpec, Session]:
    """Read a folder and load its graph; the graph has then answered once, with an image of zeros.

    Raises:
        ModelError: The folder is missing, broken, or says too little; one sentence says what to do.
        TransientError: Memory ran out.
    """
    if not folder.is_dir():
        kind = "is a file; give the folder it lies in" if folder.exists() else "does not exist"
        raise ModelError(f"The model folder {folder} {kind}.")
    facts = Facts()
    model_json.read(folder, facts)
    custom_vision.read_manifest(folder, facts)
    graph = _find_graph(folder, facts)
    content = onnx_file.read(graph)
    digests = [_sha256(file, graph) for file in (graph, *(_weights(graph, name) for name in content.external_files))]
    catalogue.read(digests[0], facts)
    hugging_face.read(folder, facts)
    timm.read(folder, facts)
    custom_vision.read_metadata(folder, facts)
    teachable_machine.read(folder, facts)
    session = Session(graph, intra_op_threads=intra_op_threads)
    winml.read(graph.name, session.metadata, facts)
    custom_vision.read_convention(folder, facts)

    input_spec = resolve_input(folder, facts, session)
    output_spec, labels = resolve_output(
        folder,
        facts,
        session=session,
        input_spec=input_spec,
        last_operator=content.last_operator,
        candidates=state_labels(folder, facts),
    )
    identity = ModelIdentity(
        name=str(facts.value("name") or folder.resolve().name),
        version=_version(digests, labels, input_spec, output_spec),
    )
    return ModelSpec(identity, graph, labels, input_spec, output_spec, dict(facts)), session


def _find_graph(folder: Path, facts: Facts) -> Path:
    """Return the ONNX file: the one that is named, else ``model.onnx``, else the only one there is."""
    named = facts.value("graph")
    if named is not None:
        return inside(folder, named, facts.source("graph"))
    for place in (folder, folder / "onnx"):
        found = sorted(file for file in place.glob("*.onnx") if file.is_file())
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
        facts.state("graph", graph.relative_to(folder).as_posix(), "file name")
        return graph
    raise ModelError(f'{folder} holds no .onnx file: export the model to ONNX, or name it as "graph" in model.json.')


def inside(folder: Path, name: object, source: str) -> Path:
    """Return a file that a fact names, which must lie in the folder.

    Raises:
        ModelError: The name is no text, leads out of the folder, or nothing is there.
    """
    if not isinstance(name, str) or not name:
        raise ModelError(f"{folder}: {source} must be a file name, but is {name!r:.60}.")
    path = folder / name
    if _leads_out(path, folder):
        raise ModelError(f"{folder}: {source} leads out of the folder: {name!r:.100}.")
    if not path.is_file():
        raise ModelError(f"{folder}: {source} names {name!r:.100}, which is not there.")
    return path


def _weights(graph: Path, name: str) -> Path:
    """Return a weight file of a graph, which may come from strangers: it must lie beside the graph or below."""
    path = graph.parent / name
    if _leads_out(path, graph.parent):
        raise ModelError(f"{graph} keeps its weights in {name!r:.100}, which leads out of the folder.")
    if path.exists() and not path.is_file():
        raise ModelError(f"{graph} keeps its weights in {name!r:.100}, which is no file.")
    return path


def _leads_out(path: Path, folder: Path) -> bool:
    """Whether a path, its links followed, lies elsewhere."""
    return not path.resolve().is_relative_to(folder.resolve())


def _sha256(file: Path, graph: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"{graph} keeps its weights in {file.name}, which cannot be read ({error.strerror or error}):"
            f" put that file beside it."
        ) from error


def _version(digests: Iterable[str], labels: tuple[str, ...], input_spec: InputSpec, output_spec: OutputSpec) -> str:
    """First 12 hex digits of a SHA-256 over graph, weights, labels and preprocessing: all that decides an answer."""
    parts = [list(digests), labels, asdict(input_spec), asdict(output_spec)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
