"""The difference between two runs: of their ratios alone, for those are what two runs can have in common."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Table

from inference.errors import ConfigurationError
from tools.bench.result import SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from tools.bench.ratios import Ratio
    from tools.bench.result import Result


def read_kept(path: Path) -> dict[str, Any]:
    """Read what an earlier run wrote with ``--json``.

    Raises:
        ConfigurationError: There is none, or it is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as a kept bench: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ConfigurationError(f"{path} is no kept bench of this form: write one with --json.")
    return document


def verdict(kept: dict[str, Any], now: Ratio) -> str:
    """``better`` or ``worse`` if the bands of the two do not touch, else ``same``."""
    if now.low <= kept["high"] and kept["low"] <= now.high:
        return "same"
    return "better" if (now.value > kept["value"]) == now.more_is_better else "worse"


def compared(kept: dict[str, Any], result: Result) -> Table:
    """Put both side by side."""
    table = Table(title=f"Compared with the run of {kept['started']}", title_justify="left")
    table.add_column("")
    for column in ("then", "now", "change"):
        table.add_column(column, justify="right")
    table.add_column("beyond noise")
    before = {ratio["name"]: ratio for ratio in kept["ratios"]}
    for ratio in result.ratios:
        then = before.get(ratio.name)
        if then is None:
            table.add_row(ratio.name, "", f"{ratio.value:.2f}", "", "new")
            continue
        change = f"{ratio.value / then['value'] - 1:+.1%}" if then["value"] > 0 < ratio.value else ""
        said = verdict(then, ratio)
        style = {"worse": "red", "better": "green"}.get(said, "")
        table.add_row(ratio.name, f"{then['value']:.2f}", f"{ratio.value:.2f}", change, said, style=style)
    for name in before.keys() - {ratio.name for ratio in result.ratios}:
        table.add_row(name, f"{before[name]['value']:.2f}", "", "", "not measured", style="dim")
    return table
