"""The project's own ``model.json``, which wins over every other source. Its schema is ``docs/model.schema.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.errors import ModelError
from inference.model.exporters.json_file import read_object

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

FILE = "model.json"

KEYS = {
    "": {"$schema", "name", "description", "graph", "labels", "input", "output", "sources"},
    "input": {
        "layout", "color_order", "size", "resize", "shortest_side", "crop_pct", "interpolation", "scale", "mean", "std",
        "order", "pad_color", "crop_rounding",
    },
    "output": {"name", "activation", "background", "positive"},
}  # fmt: skip
"""The known keys by section; the empty section is the top level."""

_TENSORFLOW_JS_KEYS = {"modelTopology", "weightsManifest"}  # TensorFlow.js gives its graph the same file name


def read(folder: Path, values: SourcedValues) -> None:
    """Add what ``model.json`` states.

    Raises:
        ModelError: It is not a JSON object, or has an unknown key: a misspelt key must not be ignored.
    """
    content = read_object(folder / FILE)
    if content is None or not _TENSORFLOW_JS_KEYS.isdisjoint(content):
        return
    _refuse_unknown_keys(folder, "", content)
    sources = content.pop("sources", {})
    if not isinstance(sources, dict):
        raise ModelError(f'{folder / FILE}: "sources" must be an object, but is {type(sources).__name__}.')

    def add(key: str, value: Any) -> None:
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


def _refuse_unknown_keys(folder: Path, section: str, part: dict[str, Any]) -> None:
    for key in part:
        if key not in KEYS[section]:
            import difflib  # only for this message

            close = difflib.get_close_matches(key, KEYS[section], n=1)
            hint = f'; did you mean "{close[0]}"?' if close else f"; known keys are {', '.join(sorted(KEYS[section]))}."
            where = f' in "{section}"' if section else ""
            raise ModelError(f'{folder / FILE} has an unknown key "{key}"{where}{hint}')
