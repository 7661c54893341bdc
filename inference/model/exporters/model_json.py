"""Our own ``model.json``: the one file that wins over every other source. Its schema: ``docs/model.schema.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.errors import ModelError
from inference.model.exporters.json_file import read_object

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import Facts

FILE = "model.json"

KEYS = {
    "": {"$schema", "name", "description", "graph", "labels", "input", "output", "sources"},
    "input": {
        "layout", "color_order", "size", "resize", "shortest_side", "crop_pct", "interpolation", "scale", "mean", "std",
        "order", "pad_color",
    },
    "output": {"name", "activation", "background"},
}  # fmt: skip


_OF_TENSORFLOW_JS = {"modelTopology", "weightsManifest"}  # its graph has our file's name, and may lie beside ours


def read(folder: Path, facts: Facts) -> None:
    """State what ``model.json`` says.

    Raises:
        ModelError: It is no JSON object, or has a key that nothing reads (a misspelt fact must not be a missing one).
    """
    content = read_object(folder / FILE, facts)
    if content is None or not _OF_TENSORFLOW_JS.isdisjoint(content):
        return
    _refuse_unknown(folder, "", content)
    sources = content.pop("sources", {})
    if not isinstance(sources, dict):
        raise ModelError(f'{folder / FILE}: "sources" must be an object, but is {type(sources).__name__}.')

    def state(key: str, value: Any) -> None:
        said_by = f" (from {sources[key]})" if key in sources else ""
        facts.state(key, value, f"{FILE}: {key}{said_by}")

    for section in ("input", "output"):
        part = content.pop(section, {})
        if not isinstance(part, dict):
            raise ModelError(f'{folder / FILE}: "{section}" must be an object, but is {type(part).__name__}.')
        _refuse_unknown(folder, section, part)
        for key, value in part.items():
            state(f"{section}.{key}", value)
    for key, value in content.items():
        state(key, value)


def _refuse_unknown(folder: Path, section: str, part: dict[str, Any]) -> None:
    for key in part:
        if key not in KEYS[section]:
            import difflib  # a typing error is rare

            close = difflib.get_close_matches(key, KEYS[section], n=1)
            meant = f'; did you mean "{close[0]}"?' if close else f"; it knows {', '.join(sorted(KEYS[section]))}."
            where = f' in "{section}"' if section else ""
            raise ModelError(f'{folder / FILE} has an unknown key "{key}"{where}{meant}')
