"""The project's own ``model.json``, which wins over every other source. Its schema is ``docs/model.schema.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.errors import ModelError
from inference.model.exporters.json_file import read_object

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

FILE = "model.json"

OPEN = "?"
"""What a refusal writes where only the author knows the value."""

KEYS = {
    "": {"$schema", "name", "description", "graph", "labels", "preprocess", "input", "output", "sources"},
    "input": {
        "layout", "color_order", "size", "resize", "shortest_side", "crop_pct", "interpolation", "scale", "mean", "std",
        "order", "pad_color", "crop_rounding", "resize_rounding", "antialias", "align", "quantization", "preprocess",
    },
    "output": {"name", "activation", "background", "positive", "quantization"},
}  # fmt: skip
"""The known keys by section; the empty section is the top level."""

_TENSORFLOW_JS_KEYS = {"modelTopology", "weightsManifest"}  # TensorFlow.js gives its graph the same file name


def read(folder: Path, values: SourcedValues) -> None:
    """Add what ``model.json`` states.

    A value ``"?"`` is the place where the author writes a value, so it is asked for.

    Raises:
        ModelError: It is not a JSON object, or has an unknown key: a misspelt key must not be ignored.
    """
    content = content_of(folder)
    _refuse_unknown_keys(folder, "", content)
    sources = content.pop("sources", {})
    if not isinstance(sources, dict):
        raise ModelError(f'{folder / FILE}: "sources" must be an object, but is {type(sources).__name__}.')

    def add(key: str, value: Any) -> None:
        if _is_open(value):
            if key == "graph":
                raise ModelError(f'{folder / FILE}: "graph" is "?": write the name of the ONNX file.')
            values.ask(key)
            return
        origin = f" (from {sources[key]})" if key in sources else ""
        values.add(key, value, f"{FILE}: {key}{origin}")

    for section in ("input", "output"):
        part = content.pop(section, {})
        if not isinstance(part, dict):
            raise ModelError(f'{folder / FILE}: "{section}" must be an object, but is {type(part).__name__}.')
        _refuse_unknown_keys(folder, section, part)
        for key, value in part.items():
            add(f"{section}.{key}", value)
    for key, value in content.items():
        add(key, value)
    _read_preprocess(folder, values)


def _read_preprocess(folder: Path, values: SourcedValues) -> None:
    """Add the transform that ``preprocess`` names; the keys beside it were added before, and so override it."""
    for key in ("preprocess", "input.preprocess"):
        if (named := values.get(key)) is not None:
            from inference.model.exporters import torchvision

            torchvision.read(folder, named.value, f"{FILE}: {key}", values)


def content_of(folder: Path) -> dict[str, Any]:
    """Return the object in ``model.json``; empty without the file, or where TensorFlow.js wrote it.

    Raises:
        ModelError: It is not a JSON object.
    """
    content = read_object(folder / FILE)
    return content if content and _TENSORFLOW_JS_KEYS.isdisjoint(content) else {}


def _is_open(value: Any) -> bool:
    """Whether a value, or an entry of its list, is still ``"?"``."""
    return bool(value == OPEN or (isinstance(value, list) and OPEN in value))


def _refuse_unknown_keys(folder: Path, section: str, part: dict[str, Any]) -> None:
    for key in part:
        if key not in KEYS[section]:
            import difflib  # only for this message

            close = difflib.get_close_matches(key, KEYS[section], n=1)
            hint = f'; did you mean "{close[0]}"?' if close else f"; known keys are {', '.join(sorted(KEYS[section]))}."
            where = f' in "{section}"' if section else ""
            raise ModelError(f'{folder / FILE} has an unknown key "{key}"{where}{hint}')
