"""The worked numbers of ``docs/cost.md``, from the measurements stated here: the document and the tool cannot drift.

``python -m tools.cost.document`` writes them anew, between the two marks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tools.cost.estimate import CORES, Job, bill
from tools.cost.measure import Measured
from tools.cost.prices import price_list
from tools.cost.requests import reconciling

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "cost.md"
_BEGIN, _END = "<!-- worked numbers: begin -->\n", "<!-- worked numbers: end -->\n"
_IMAGES = 1_000_000

# `python -m tools cost --model MODEL --megapixels 2` and `12` on the development machine (2 CPUs, busy), 2026-11-21,
# with mobilenetv2-12-qdq of the ONNX Model Zoo (224 x 224, int8): what somebody might bring.
STATED = (Measured(2.0, 640_000, 0.0172), Measured(12.0, 3_680_000, 0.0518))


def worked() -> str:
    """The block between the marks."""
    prices = price_list()
    parts = ["", "A million photos, US dollars, nothing granted:", ""]
    rows = []
    for measured in STATED:
        for memory in sorted(CORES):
            job = Job(_IMAGES, measured.cpu_s, memory)
            priced = bill(job, prices)
            rows.append(
                (
                    f"{measured.megapixels:g} MP",
                    f"{memory} MB, {job.cores:g}",
                    f"{job.busy_s * 1000:.1f}",
                    f"{priced.functions_usd:.2f}",
                    f"{priced.usd:.2f}",
                    f"{priced.usd_per_1000:.4f}",
                    f"{priced.usd + priced.alone_more_usd:.2f}",
                )
            )
    headings = ("photos", "instance, cores", "active ms", "Functions", "all", "a thousand", "all, if each came alone")
    parts += _table(headings, rows)
    parts += ["", f"Line by line, {STATED[1].megapixels:g} MP on 2048 MB:", ""]
    priced = bill(Job(_IMAGES, STATED[1].cpu_s), prices)
    parts += _table(
        ("who", "what", "quantity", "rate", "USD"),
        [
            (
                line.by,
                line.what,
                f"{line.quantity:,.2f}" if line.quantity < 100 else f"{line.quantity:,.0f}",
                str(prices.rates[line.rate]),
                f"{line.usd:.2f}",
            )
            for line in priced.lines
        ],
    )
    kept = {name: prices.rates[name].cost(count) for name, count in reconciling(_IMAGES).items()}
    parts += [
        "",
        f"A million images kept: the hourly reconciliation asks for pages worth ${sum(kept.values()):.2f} a month.",
        "",
        "What others charge for a thousand images:",
        "",
    ]
    parts += _table(
        ("service", "USD a thousand", "which", "dated", "source"),
        [
            (
                other.name,
                "not found" if other.usd_per_1000 is None else f"{other.usd_per_1000:.2f}",
                other.tiers,
                other.dated or "",
                f"<{other.source}>" if " " not in other.source else other.source,
            )
            for other in prices.alternatives
        ],
    )
    parts += ["", "The rates:", ""]
    parts += _table(
        ("name", "rate", "what", "where", "dated", "source"),
        [
            (f"`{name}`", str(rate), rate.what, rate.where, rate.dated, f"[source]({rate.source})")
            for name, rate in prices.rates.items()
        ],
    )
    return "\n".join([*parts, "", ""])


def written(text: str) -> str:
    """The document with its worked numbers anew."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + worked() + _END + after


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (headings, ["---"] * len(headings), *rows)]


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
