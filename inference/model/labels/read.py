"""Reads label files in every form that exporters and tutorials write, as one list: class index to label."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from inference.errors import ModelError, printable
from inference.model.file_errors import cannot_read
from inference.model.labels.lines import from_lines
from inference.model.labels.parsed import direction, parse_labels

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES = 4 * 1024 * 1024  # ImageNet's 21,843 labels with their indices have 0.6 MB


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a label file: its suffix and its content show the form.

    Returns:
        Labels by class index. They may repeat: ImageNet has two cranes.

    Raises:
        ModelFileError: The file is missing or may not be read.
        ModelError: The file is empty, not text, longer than 4 MiB, or its numbering is not 0, 1, 2 ...
        TransientError: The file cannot be read for now.
    """
    file = f"The label file {printable(str(path))}"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{file} has more than {_MAX_BYTES:,} bytes, so it is no list of labels.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise cannot_read(file, error) from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{file} is not UTF-8 text.") from error
    try:
        return _parse(text, path.stem, path.suffix.lower())
    except ValueError as error:
        raise ModelError(f"{file} {error}.") from error


def _parse(text: str, stem: str, suffix: str) -> tuple[str, ...]:
    if suffix in {".yaml", ".yml"}:
        from inference.model.exporters.yaml_file import parse_yaml

        return parse_labels(parse_yaml(text), direction(stem))
    if suffix == ".pbtxt":
        from inference.model.labels.label_map import from_label_map

        return from_label_map(text)
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return parse_labels(json.loads(text), direction(stem))
        except (json.JSONDecodeError, RecursionError):
            return parse_labels(_python_literal(text), direction(stem))
    if suffix in {".csv", ".tsv"}:
        from inference.model.labels.table import from_table

        if labels := from_table(text):
            return labels
    return from_lines(text.splitlines(), stem)


def _python_literal(text: str) -> Any:
    import ast  # only for ImageNet's Python dictionary

    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("starts like JSON but is not valid") from error
