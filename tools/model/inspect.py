"""``model inspect``: prints every value of a model's configuration, and the file and key that state it.

Of an incomplete folder it prints the known values, and the ``model.json`` to fill in.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.classifier import read_rules
from inference.model.folder import load_model
from inference.model.refusals import graph_start
from inference.model.refusals.missing_values import DESCRIPTIONS, IncompleteModelError
from inference.predictions import DECISION_FILE
from tools.model.model_json import resolved_values
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

    from inference.model.loaded import LoadedModel
    from inference.model.session import Session, ValueInfo

_SHOWN_LABELS = 3
_LABEL_WIDTH = 24
_KEY_WIDTH = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a model folder, as the exporter wrote it")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.epilog = "example:\n  python -m tools model inspect models/shapes"


def run(args: argparse.Namespace) -> int:
    """Print the values; 0 when the model can be used, 2 when values are missing."""
    try:
        model = load_model(args.folder)
    except IncompleteModelError as error:
        _print_incomplete(error, as_json=args.json)
        raise
    if args.json:
        print(json.dumps({**_document(model), "decision_version": _decision_version(args.folder, model)}, indent=2))
        return 0
    spec = model.spec
    print(f"{printable(spec.identity.name)}  version {spec.identity.version}")
    _print_graph(spec.graph, model.session, _start(model))
    if model.session.exact_int8:
        print("int8     exact on every CPU (session.x64quantprecision=1)")
    print(f"labels   {len(spec.labels)}: {printable(_first_and_last(spec.labels))}")
    if decision := _decision_version(args.folder, model):
        print(f"rules    {DECISION_FILE}, version {decision}")
    print()
    _print_table([(key, _short(value), printable(source)) for key, value, source in resolved_values(spec)])
    return 0


def _print_incomplete(error: IncompleteModelError, *, as_json: bool) -> None:
    """Print the known values of a model, the missing ones, and the ``model.json`` to fill in."""
    shown = {"graph", *DESCRIPTIONS} - error.missing.keys()  # readers also exchange values that are no keys
    known = [(key, value, source) for key, (value, source) in error.values if key in shown]
    if as_json:
        print(
            json.dumps(
                _graph(error.graph, error.session, error.start)
                | {
                    "facts": {key: {"value": value, "source": source} for key, value, source in known},
                    "missing": error.missing,
                    "model.json": error.template,
                },
                indent=2,
            )
        )
        return
    _print_graph(error.graph, error.session, error.start)
    print("\nknown")
    _print_table([(key, _short(value), printable(source)) for key, value, source in known])
    print("\nmissing")
    _print_table([(key, "?", printable(choices)) for key, choices in error.missing.items()])
    print(f"\nmodel.json to fill in\n{json.dumps(error.template, indent=2)}", flush=True)


def _start(model: LoadedModel) -> str:
    return graph_start.in_words(graph_start.read(model.spec.graph, model.spec.input.name))


def _print_graph(graph: Path, session: Session, start: str) -> None:
    print(f"graph    {printable(str(graph))}  {graph.stat().st_size:,} bytes")
    for kind, infos in (("inputs", session.inputs), ("outputs", session.outputs)):
        print(f"{kind:<8} {', '.join(printable(f'{info.name} {info.type} {_shape(info)}') for info in infos)}")
    print(f"begins   {printable(start)}")


def _print_table(rows: list[tuple[str, str, str]]) -> None:
    names = max([_KEY_WIDTH, *(len(key) for key, _, _ in rows)])
    width = max((len(value) for _, value, _ in rows), default=0)
    for key, value, source in rows:
        print(f"{key:<{names}} {value:<{width}}  {source}")


def _decision_version(folder: Path, model: LoadedModel) -> str | None:
    """The version of the ``decision.json`` in the folder, if there is one.

    Raises:
        ModelError: It cannot be used.
    """
    path = folder / DECISION_FILE
    return read_rules(path, model.spec).version if path.is_file() else None


def _document(model: LoadedModel) -> dict[str, Any]:
    spec, session = model.spec, model.session
    return {
        "name": spec.identity.name,
        "version": spec.identity.version,
        **_graph(spec.graph, session, _start(model)),
        "exact_int8": session.exact_int8,
        "labels": spec.labels,
        "facts": {key: {"value": value, "source": source} for key, value, source in resolved_values(spec)},
    }


def _graph(graph: Path, session: Session, start: str) -> dict[str, Any]:
    return {
        "graph": str(graph),
        "graph_bytes": graph.stat().st_size,
        "inputs": [info._asdict() for info in session.inputs],
        "outputs": [info._asdict() for info in session.outputs],
        "begins": start,
    }


def _shape(info: ValueInfo) -> str:
    return "x".join("?" if axis is None else str(axis) for axis in info.shape) or "[]"


def _first_and_last(labels: tuple[str, ...]) -> str:
    shown = [label if len(label) <= _LABEL_WIDTH else f"{label[:_LABEL_WIDTH]}…" for label in labels]
    if len(shown) <= 2 * _SHOWN_LABELS:
        return "; ".join(shown)
    return f"{'; '.join(shown[:_SHOWN_LABELS])} ... {shown[-1]}"


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > _SHOWN_LABELS:
        return f"{len(value)} names"
    return printable(value if isinstance(value, str) else json.dumps(value))
