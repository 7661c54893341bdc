"""The result tables of ``docs/scale.md``, from ``results.json``; ``python -m tools.scale.document`` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).with_name("results.json")
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "scale.md"
_BEGIN, _END = "<!-- results: begin -->\n", "<!-- results: end -->\n"

Outcome = dict[str, Any]


def tables(results: dict[str, list[Outcome]]) -> str:
    """All four tables."""
    bursts = results["bursts"]
    counts = sorted({one["instances"] for one in bursts})
    rows = []
    for name in dict.fromkeys(one["variant"] for one in bursts):
        by_count = {one["instances"]: one for one in bursts if one["variant"] == name}
        rows.append(
            [name, *(f"{by_count[count]['images_per_s']:,.0f}" if count in by_count else "" for count in counts)]
        )
    parts = ["", "Rows a second in a burst of up to 12,000 uploads, 5,000 a second, by instances that are there:", ""]
    parts += _table(["", *map(str, counts)], rows)
    images = results["one_burst"][0]["images"]
    parts += [
        "",
        f"{images:,} uploads, 1,000 a second, as it is (a million wait {1_000_000 // images} times as long):",
        "",
    ]
    parts += _table(
        ["instances", "rows a second", "p50", "p99", "most waiting", "events that came again"],
        [
            [
                f"{one['instances']:,}",
                f"{one['images_per_s']:,.0f}",
                f"{one['p50_s']:.1f} s",
                f"{one['p99_s']:.1f} s",
                f"{one['most_waiting']:,}",
                f"{one['event_retries']:,}",
            ]
            for one in results["one_burst"]
        ],
    )
    parts += ["", "200 uploads a second for a minute, as it is:", ""]
    parts += _table(
        ["instances", "p50", "p99", "most waiting"],
        [
            [f"{one['instances']}", f"{one['p50_s']:.2f} s", f"{one['p99_s']:.2f} s", f"{one['most_waiting']:,}"]
            for one in results["steady"]
        ],
    )
    images = results["scaling_out"][0]["images"]
    parts += ["", f"{images:,} uploads, 1,000 a second, that find no instance; up to 100 come:", ""]
    parts += _table(
        ["scaling", "instances at the end", "rows a second", "p50", "p99", "most waiting"],
        [
            [
                one["variant"],
                f"{one['instances']}",
                f"{one['images_per_s']:,.0f}",
                f"{one['p50_s']:.0f} s",
                f"{one['p99_s']:.0f} s",
                f"{one['most_waiting']:,}",
            ]
            for one in results["scaling_out"]
        ],
    )
    return "\n".join([*parts, "", ""])


def written(text: str) -> str:
    """The document with its tables anew."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + tables(json.loads(RESULTS.read_text())) + _END + after


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (headings, ["---"] * len(headings), *rows)]


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
