"""``model inspect``: prints every value of a model's configuration, and the file and key that state it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.model.folder import load_model
from tools.model.model_json import resolved_values
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

    from inference.model.loaded import LoadedModel
    from inference.model.session import ValueInfo

_SHOWN_LABELS = 3
_LABEL_WIDTH = 24


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a model folder, as the exporter wrote it")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.epilog = "example:\n  python -m tools model inspect models/shapes"


def run(args: argparse.Namespace) -> int:
    """Print the values; 0 when the model can be used."""
    model = load_model(args.folder)
    if args.json:
        print(json.dumps(_document(model), indent=2))
        return 0
    spec = model.spec
    print(f"{printable(spec.identity.name)}  version {spec.identity.version}")
    print(f"graph    {spec.graph}  {spec.graph.stat().st_size:,} bytes")
    for kind, infos in (("inputs", model.session.inputs), ("outputs", model.session.outputs)):
        print(f"{kind:<8} {', '.join(printable(f'{info.name} {info.type} {_shape(info)}') for info in infos)}")
    if model.session.exact_int8:
        print("int8     exact on every CPU (session.x64quantprecision=1)")
    print(f"labels   {len(spec.labels)}: {printable(_first_and_last(spec.labels))}\n")
    rows = [(key, _short(value), printable(source)) for key, value, source in resolved_values(spec)]
    width = max(len(value) for _, value, _ in rows)
    for key, value, source in rows:
        print(f"{key:<20} {value:<{width}}  {source}")
    return 0


def _document(model: LoadedModel) -> dict[str, Any]:
    spec, session = model.spec, model.session
    return {
        "name": spec.identity.name,
        "version": spec.identity.version,
        "graph": str(spec.graph),
        "graph_bytes": spec.graph.stat().st_size,
        "inputs": [info._asdict() for info in session.inputs],
        "outputs": [info._asdict() for info in session.outputs],
        "exact_int8": session.exact_int8,
        "labels": spec.labels,
        "facts": {key: {"value": value, "source": source} for key, value, source in resolved_values(spec)},
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
