"""Every settled fact of a model with its source, and the ``model.json`` that states them all."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.model_spec import ResizeMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.model_spec import ModelSpec

_DEFAULT = "default: nobody states it"
_WRITTEN_BEFORE = re.compile(r"model\.json: \S+ \(from (.*)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Settled:
    """One fact as it is used.

    Attributes:
        key: As in ``model.json``; ``input.name``, ``input.dtype`` and ``input.batch`` are the graph's own.
        value: As in ``model.json``.
        source: Who states it.
    """

    key: str
    value: Any
    source: str


def settled(spec: ModelSpec) -> Iterator[Settled]:
    """Yield every fact that decides an answer, in the order of ``model.json``."""
    pixels, output = spec.input, spec.output

    def said(key: str, otherwise: str = _DEFAULT) -> str:
        return spec.values[key].source if key in spec.values else otherwise

    yield Settled("graph", spec.values["graph"].value, said("graph"))
    yield Settled("labels", _labels(spec), said("labels"))
    yield Settled("input.name", pixels.name, "graph")
    yield Settled("input.dtype", pixels.dtype, "graph")
    batch = {None: "any", 0: "no such axis"}.get(pixels.batch, pixels.batch)
    yield Settled("input.batch", batch, "graph")
    yield Settled("input.layout", str(pixels.layout), said("input.layout", "graph"))
    yield Settled("input.color_order", str(pixels.color_order), said("input.color_order"))
    yield Settled("input.size", [pixels.height, pixels.width], said("input.size"))
    yield Settled("input.resize", str(pixels.resize), said("input.resize"))
    if pixels.resize is ResizeMode.SHORTEST_SIDE_CROP:
        source = said("input.shortest_side", said("input.crop_pct"))
        yield Settled("input.shortest_side", pixels.resized_height, source)
    elif pixels.resize is ResizeMode.SQUASH and "input.crop_pct" in spec.values:
        yield Settled("input.crop_pct", spec.values["input.crop_pct"].value, said("input.crop_pct"))
    elif pixels.resize is ResizeMode.LETTERBOX:
        yield Settled("input.pad_color", list(pixels.pad_color), said("input.pad_color"))
    yield Settled("input.interpolation", str(pixels.interpolation), said("input.interpolation"))
    yield Settled("input.scale", pixels.scale, said("input.scale"))
    yield Settled("input.mean", list(pixels.mean), said("input.mean"))
    yield Settled("input.std", list(pixels.std), said("input.std"))
    yield Settled("output.name", output.name, said("output.name", "graph"))
    yield Settled("output.activation", str(output.activation), said("output.activation", "graph"))
    yield Settled("output.background", str(output.background), said("output.background"))


def to_model_json(spec: ModelSpec, name: str) -> str:
    """Return a ``model.json`` that says all there is to say, so that no other file is asked again."""
    document: dict[str, Any] = {"name": name}
    sections: dict[str, dict[str, Any]] = {"input": {}, "output": {}}
    sources: dict[str, str] = {}
    for fact in settled(spec):
        if fact.key in {"input.name", "input.dtype", "input.batch"}:
            continue
        section, _, key = fact.key.rpartition(".")
        (sections[section] if section else document)[key] = fact.value
        written_before = _WRITTEN_BEFORE.fullmatch(fact.source)
        if written_before or not fact.source.startswith("model.json"):
            sources[fact.key] = written_before[1] if written_before else fact.source
    document |= sections
    if sources:
        document["sources"] = sources
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return re.sub(r"\[\s+([-\d][^\[\]{}\"]*?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def _labels(spec: ModelSpec) -> Any:
    """Return the name of the label file, or the labels where they stand in another file's JSON."""
    stated = spec.values["labels"].value
    return stated if isinstance(stated, str) else list(spec.labels)
