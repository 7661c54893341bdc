"""``model inspect``: every fact of a model, and the file and key that state it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.model.folder import load_model
from tools.model.model_json import settled
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

    from inference.model.session import Session, ValueInfo
    from inference.model_spec import ModelSpec

_SHOWN_LABELS = 3
_LABEL_WIDTH = 24


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a model folder, as an exporter left it")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.epilog = "example:\n  python -m tools model inspect models/shapes"


def run(args: argparse.Namespace) -> int:
    """Show the facts; 0 when the model can be used."""
    model = load_model(args.folder)
    spec, session = model.spec, model.session
    if args.json:
        print(json.dumps(_document(spec, session), indent=2))
        return 0
    print(f"{printable(spec.identity.name)}  version {spec.identity.version}")
    print(f"graph    {spec.graph}  {spec.graph.stat().st_size:,} bytes")
    for kind, ports in (("inputs", session.inputs), ("outputs", session.outputs)):
        print(f"{kind:<8} {', '.join(printable(f'{port.name} {port.type} {_shape(port)}') for port in ports)}")
    print(f"labels   {len(spec.labels)}: {printable(_some(spec.labels))}\n")
    rows = [(fact.key, _short(fact.value), printable(fact.source)) for fact in settled(spec)]
    across = max(len(value) for _, value, _ in rows)
    for key, value, source in rows:
        print(f"{key:<20} {value:<{across}}  {source}")
    return 0


def _document(spec: ModelSpec, session: Session) -> dict[str, Any]:
    return {
        "name": spec.identity.name,
        "version": spec.identity.version,
        "graph": str(spec.graph),
        "graph_bytes": spec.graph.stat().st_size,
        "inputs": [{"name": port.name, "type": port.type, "shape": port.shape} for port in session.inputs],
        "outputs": [{"name": port.name, "type": port.type, "shape": port.shape} for port in session.outputs],
        "labels": spec.labels,
        "facts": {fact.key: {"value": fact.value, "source": fact.source} for fact in settled(spec)},
    }


def _shape(port: ValueInfo) -> str:
    return "x".join("?" if axis is None else str(axis) for axis in port.shape) or "[]"


def _some(labels: tuple[str, ...]) -> str:
    shown = [label if len(label) <= _LABEL_WIDTH else f"{label[:_LABEL_WIDTH]}…" for label in labels]
    if len(shown) <= 2 * _SHOWN_LABELS:
        return "; ".join(shown)
    return f"{'; '.join(shown[:_SHOWN_LABELS])} ... {shown[-1]}"


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > _SHOWN_LABELS:
        return f"{len(value)} names"
    return printable(value if isinstance(value, str) else json.dumps(value))
