"""Modules of the product with a small fault put in: each search must notice it."""

from __future__ import annotations

import types
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def mutant(module: types.ModuleType, changes: Mapping[str, str]) -> types.ModuleType:
    """Return a copy of a module with each text replaced. Every text must occur in its source exactly once."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    for old, new in changes.items():
        assert source.count(old) == 1, f"this mutation no longer fits the code: {old}"
        source = source.replace(old, new)
    broken = types.ModuleType(module.__name__)  # dataclasses look their module up by its name
    exec(compile(source, "broken", "exec"), vars(broken))
    return broken
