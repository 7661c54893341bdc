"""The result of a bench, as it is kept in a JSON file, and its difference to a kept one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tools.bench.ratios import Ratio
    from tools.bench.runner import Figure
    from tools.bench.startup import Imports

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Result:
    """One run.

    Attributes:
        started: Aware UTC.
        seconds: Its duration.
        machine: A description of the machine.
        figures: By name of the benchmark.
        ratios: Computed from the figures.
        requests: Storage requests of a fresh upload and of a duplicate, in order.
        imports: The part of each package in the app's start, the largest first.
    """

    started: datetime
    seconds: float
    machine: dict[str, Any]
    figures: dict[str, Figure]
    ratios: list[Ratio]
    requests: dict[str, list[str]]
    imports: list[Imports]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "schema": _SCHEMA,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(self.seconds),
            "machine": self.machine,
            "ratios": [_rounded(asdict(ratio)) for ratio in self.ratios],
            "figures": {
                name: {
                    "images_per_s": round(figure.images_per_s, 3),
                    "cpu_ms": round(figure.cpu_ms, 3),
                    "trials": len(figure.measurements),
                    "quiet": figure.quiet,
                    "foreign": [_share(each.disturbance.other_cpu) for each in figure.measurements],
                    "steal": [_share(each.disturbance.steal) for each in figure.measurements],
                }
                for name, figure in self.figures.items()
            },
            "requests": self.requests,
            "imports": [_rounded(asdict(each)) for each in self.imports],
        }


def read_kept(path: Path) -> dict[str, Any]:
    """Read the JSON object of an earlier run.

    Raises:
        ConfigurationError: The file cannot be read, or holds something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as the result of a bench: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
        raise ConfigurationError(f"{path} does not hold the result of a bench: write one with --json.")
    return document


def change(kept: dict[str, Any], now: Ratio) -> str:
    """Return ``better`` or ``worse`` if the confidence bands of a ratio do not overlap, else ``same``, or ``noisy``."""
    if now.is_noisy or kept.get("is_noisy"):
        return "noisy"
    if now.low <= kept["high"] and kept["low"] <= now.high:
        return "same"
    return "better" if (now.value > kept["value"]) == now.more_is_better else "worse"


def _rounded(document: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in document.items()}


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, 3)
