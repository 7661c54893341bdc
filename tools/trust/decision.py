"""Writes the promised thresholds to a ``decision.json`` (``docs/decision.schema.json``)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError
from tools.export.destination import complete_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_thresholds(path: Path, thresholds: Mapping[str, float]) -> None:
    """Set the lowest score of labels. The file's other rules stay, and other labels keep theirs.

    Args:
        path: A new or existing file.
        thresholds: The lowest score by label, each in [0, 1].

    Raises:
        ConfigurationError: The file holds something else, or cannot be written.
    """
    rules = _existing(path)
    labels = rules.setdefault("labels", {})
    for label, threshold in thresholds.items():
        labels.setdefault(label, {})["min_score"] = threshold
    with complete_file(path) as partial:
        partial.write_text(json.dumps(rules, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _existing(path: Path) -> dict[str, Any]:
    try:
        rules: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError):
        rules = None
    labels = rules.get("labels", {}) if isinstance(rules, dict) else None
    if not isinstance(labels, dict) or not all(isinstance(each, dict) for each in labels.values()):
        raise ConfigurationError(f"{path} is no decision.json: correct it, or write to a new file.")
    return dict(rules)
