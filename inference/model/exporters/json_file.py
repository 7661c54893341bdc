"""Reads JSON files of a model folder, with one sentence for each way in which they can be broken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from inference.errors import ModelError
from inference.model.file_errors import cannot_read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    _Hook = Callable[[list[tuple[str, Any]]], Any]


def read_object(path: Path, *, object_pairs_hook: _Hook | None = None) -> dict[str, Any] | None:
    """Return the JSON object in the file, or ``None`` when there is no such file.

    Args:
        path: The file.
        object_pairs_hook: See ``json.loads``.

    Raises:
        ModelError: The file cannot be read, is not JSON, or holds another JSON type.
    """
    if not path.is_file():
        return None
    value = read_json(path, object_pairs_hook=object_pairs_hook)
    if not isinstance(value, dict):
        raise ModelError(f"{path} must hold a JSON object, but holds {type(value).__name__}.")
    return value


def read_json(path: Path, *, object_pairs_hook: _Hook | None = None) -> Any:
    """Return the file's JSON value.

    Args:
        path: The file.
        object_pairs_hook: See ``json.loads``.

    Raises:
        ModelError: The file cannot be read or is not JSON; the message names the line.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=object_pairs_hook)
    except OSError as error:
        raise cannot_read(str(path), error) from error
    except json.JSONDecodeError as error:
        raise ModelError(f"{path} is not valid JSON: {error.msg} in line {error.lineno}.") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not valid JSON in UTF-8.") from error
    except RecursionError as error:
        raise ModelError(f"{path} is not usable JSON: its brackets are nested too deep.") from error
    except ValueError as error:  # Python reads no whole number of more than 4,300 digits
        raise ModelError(f"{path} is not usable JSON: it holds a number that is too long.") from error
