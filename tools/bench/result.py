"""The outcome of a bench: what was measured, what it means, and on which machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from tools.bench.ratios import Ratio
    from tools.bench.runner import Figure
    from tools.bench.startup import Imports

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Result:
    """One run.

    Attributes:
        started: Aware UTC.
        seconds: How long it took.
        machine: What it ran on.
        figures: By contest.
        ratios: What they say.
        requests: Storage requests of a fresh upload and of a duplicate, in order.
        imports: Of the app's start, the dearest package first.
    """

    started: datetime
    seconds: float
    machine: dict[str, Any]
    figures: dict[str, Figure]
    ratios: list[Ratio]
    requests: dict[str, list[str]]
    imports: list[Imports]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "schema": SCHEMA,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(self.seconds),
            "machine": self.machine,
            "ratios": [_rounded(ratio.to_json()) for ratio in self.ratios],
            "figures": {
                name: {
                    "images_per_s": round(figure.images_per_s, 3),
                    "cpu_ms": round(figure.cpu_ms, 3),
                    "trials": len(figure.trials),
                    "quiet": figure.quiet,
                    "foreign": [_share(seen.disturbance.foreign) for seen in figure.trials],
                    "steal": [_share(seen.disturbance.steal) for seen in figure.trials],
                }
                for name, figure in self.figures.items()
            },
            "requests": self.requests,
            "imports": [_rounded(asdict(each)) for each in self.imports],
        }


def _rounded(document: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in document.items()}


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, 3)
