"""Lists every resolved value of a model with its source, and writes the ``model.json`` that states them all."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from inference.model_spec import Align, ResizeMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.model_spec import ModelSpec

_DEFAULT = "default: no file states it"
_EARLIER_SOURCE = re.compile(r"model\.json: \S+ \(from (.*)\)", re.DOTALL)
_GRAPH_ONLY = {"input.name", "input.dtype", "input.batch"}


class ResolvedValue(NamedTuple):
    """One value as the model uses it.

    Attributes:
        key: As in ``model.json``; ``input.name``, ``input.dtype`` and ``input.batch`` come from the graph only.
        value: As in ``model.json``.
        source: The file and key that state it.
    """

    key: str
    value: Any
    source: str


def resolved_values(spec: ModelSpec) -> Iterator[ResolvedValue]:
    """Yield every value that decides an answer, in the order of ``model.json``."""
    pixels = spec.input

    def source(key: str, otherwise: str = _DEFAULT) -> str:
        return spec.values[key].source if key in spec.values else otherwise

    yield ResolvedValue("graph", spec.values["graph"].value, source("graph"))
    yield ResolvedValue("labels", _labels(spec), source("labels"))
    yield ResolvedValue("input.name", pixels.name, "graph")
    yield ResolvedValue("input.dtype", pixels.dtype, "graph")
    batch = {None: "any", 0: "no such axis"}.get(pixels.batch, pixels.batch)
    yield ResolvedValue("input.batch", batch, "graph")
    yield ResolvedValue("input.layout", str(pixels.layout), source("input.layout", "graph"))
    yield ResolvedValue("input.color_order", str(pixels.color_order), source("input.color_order"))
    yield ResolvedValue("input.size", [pixels.height, pixels.width], source("input.size"))
    yield ResolvedValue("input.resize", str(pixels.resize), source("input.resize"))
    if pixels.resize is ResizeMode.SHORTEST_SIDE_CROP:
        side_source = source("input.shortest_side", source("input.crop_pct"))
        yield ResolvedValue("input.shortest_side", pixels.resized_height, side_source)
    elif pixels.resize is ResizeMode.SQUASH and "input.crop_pct" in spec.values:
        yield ResolvedValue("input.crop_pct", spec.values["input.crop_pct"].value, source("input.crop_pct"))
    elif pixels.resize is ResizeMode.LETTERBOX:
        if pixels.align is not Align.CENTER:
            yield ResolvedValue("input.align", str(pixels.align), source("input.align"))
        yield ResolvedValue("input.pad_color", list(pixels.pad_color), source("input.pad_color"))
    if "input.crop_rounding" in spec.values:
        yield ResolvedValue("input.crop_rounding", str(pixels.crop_rounding), source("input.crop_rounding"))
    if pixels.resize_rounding is not None:
        yield ResolvedValue("input.resize_rounding", str(pixels.resize_rounding), source("input.resize_rounding"))
    yield ResolvedValue("input.interpolation", str(pixels.interpolation), source("input.interpolation"))
    if not pixels.antialias:
        yield ResolvedValue("input.antialias", pixels.antialias, source("input.antialias"))
    yield ResolvedValue("input.scale", pixels.scale, source("input.scale"))
    yield ResolvedValue("input.mean", list(pixels.mean), source("input.mean"))
    yield ResolvedValue("input.std", list(pixels.std), source("input.std"))
    if pixels.quantization is not None:
        yield ResolvedValue("input.quantization", list(pixels.quantization), source("input.quantization"))
    yield from _output_values(spec)


def _output_values(spec: ModelSpec) -> Iterator[ResolvedValue]:
    output = spec.output

    def source(key: str, otherwise: str = _DEFAULT) -> str:
        return spec.values[key].source if key in spec.values else otherwise

    yield ResolvedValue("output.name", output.name, source("output.name", "graph"))
    yield ResolvedValue("output.activation", str(output.activation), source("output.activation", "graph"))
    yield ResolvedValue("output.background", str(output.background), source("output.background"))
    if output.quantization is not None:
        yield ResolvedValue("output.quantization", list(output.quantization), source("output.quantization"))
    if output.positive is not None:
        yield ResolvedValue("output.positive", spec.labels[output.positive], source("output.positive"))


def to_model_json(spec: ModelSpec, name: str) -> str:
    """Return a ``model.json`` that states every value, so that no other file is read again."""
    document: dict[str, Any] = {"name": name}
    sections: dict[str, dict[str, Any]] = {"input": {}, "output": {}}
    sources: dict[str, str] = {}
    for resolved in resolved_values(spec):
        if resolved.key in _GRAPH_ONLY:
            continue
        section, _, key = resolved.key.rpartition(".")
        (sections[section] if section else document)[key] = resolved.value
        earlier = _EARLIER_SOURCE.fullmatch(resolved.source)
        if earlier or not resolved.source.startswith("model.json"):
            sources[resolved.key] = earlier[1] if earlier else resolved.source
    document |= sections
    if sources:
        document["sources"] = sources
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return re.sub(r"\[\s+([-\d][^\[\]{}\"]*?)\s+\]", _on_one_line, text) + "\n"


def _on_one_line(numbers: re.Match[str]) -> str:
    return f"[{' '.join(numbers[1].split())}]"


def _labels(spec: ModelSpec) -> Any:
    """Return the name of the label file, or the labels themselves when they are in another file's JSON."""
    stated = spec.values["labels"].value
    return stated if isinstance(stated, str) else list(spec.labels)
