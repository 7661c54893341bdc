"""Tables of bills and prices: for a terminal, and as Markdown in ``docs/cost.md``.

``python -m tools.cost.tables`` rewrites the worked numbers of the document, between its two marks.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from tools.cost.estimate import CORES, Job, bill
from tools.cost.measure import Measured
from tools.cost.prices import price_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.cost.estimate import Bill
    from tools.cost.prices import PriceList

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "cost.md"
_BEGIN, _END = "<!-- worked numbers: begin -->\n", "<!-- worked numbers: end -->\n"
_WIDTH = 160  # columns of output that is no terminal
_IMAGES = 1_000_000

# `python -m tools cost --model MODEL --megapixels 2` and `12` on the development machine (2 CPUs, busy), 2026-11-21,
# with mobilenetv2-12-qdq of the ONNX Model Zoo (224 x 224, int8), an example of a user's own model.
STATED = (Measured(2.0, 640_000, 0.0172), Measured(12.0, 3_680_000, 0.0518))


def show(*tables: Table) -> None:
    """Print tables on stdout."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    for table in tables:
        console.print(table)


def sizes(bills: Sequence[Bill]) -> Table:
    """Return one row per instance size."""
    headings = ("instance", "active ms", "Functions", "total USD", "a thousand", "total, one at a time", "free grants")
    rows = [
        (
            f"{each.job.memory_mb} MB, {each.job.cores:g} CPU",
            f"{each.job.busy_s * 1000:.1f}",
            f"{each.functions_usd:,.2f}",
            f"{each.usd:,.2f}",
            f"{each.usd_per_1000:.4f}",
            f"{each.usd + each.alone_more_usd:,.2f}",
            f"{-each.granted_usd:,.2f}",
        )
        for each in bills
    ]
    return _table(headings, rows, 6)


def lines(priced: Bill, prices: PriceList) -> Table:
    """Return one row per line of a bill, and its sum."""
    rows = []
    for line in priced.lines:
        quantity = f"{line.quantity:,.{0 if line.quantity >= 100 else 2}f}"
        rows.append((line.by, line.what, quantity, str(prices.rates[line.rate]), f"{line.usd:,.2f}"))
    rows.append(("", "total", "", "", f"{priced.usd:,.2f}"))
    return _table(("by", "what", "quantity", "rate", "USD"), rows, 3)


def alternatives(prices: PriceList) -> Table:
    """Return the prices of other services."""
    rows = [
        (
            each["name"],
            "not found" if each["usd_per_1000"] is None else f"{each['usd_per_1000']:.2f}",
            "; ".join(filter(None, (each["tiers"], each["dated"]))),
        )
        for each in prices.alternatives
    ]
    return _table(("service", "USD a thousand", "tier and date"), rows)


def show_prices(prices: PriceList) -> None:
    """Print every rate, grant and alternative, then their sources, which are too long for a table."""
    rows = [
        (name, str(rate), _free(prices, name), rate.what, rate.where, rate.dated) for name, rate in prices.rates.items()
    ]
    show(_table(("rate", "USD", "free a month", "what", "where", "dated"), rows), alternatives(prices))
    sources = {name: rate.source for name, rate in prices.rates.items()}
    sources |= {f"{name}, free": grant["source"] for name, grant in prices.grants.items()}
    sources |= {each["name"]: each["source"] for each in prices.alternatives}
    for name, source in sources.items():
        print(f"{name}: {source}")


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 0) -> Table:
    """Return a table, in Markdown also on a terminal, whose last columns are numbers."""
    table = Table(box=box.MARKDOWN)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place >= len(headings) - numbers else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _free(prices: PriceList, name: str) -> str:
    if name not in prices.grants:
        return ""
    free = prices.grants[name]["free"]
    return "unknown" if free is None else f"{free:,.0f}"


def rewritten(document: str) -> str:
    """Return the document with its worked numbers recomputed from ``STATED``."""
    prices = price_list()
    parts: list[str | Table] = []
    for measured in STATED:
        bills = [bill(Job(_IMAGES, measured.cpu_s, memory), prices) for memory in sorted(CORES)]
        parts += [f"A million photos of {measured.megapixels:g} MP:", sizes(bills)]
    job = Job(_IMAGES, STATED[-1].cpu_s)
    parts += [f"Line by line, {STATED[-1].megapixels:g} MP on {job.memory_mb} MB:", lines(bill(job, prices), prices)]
    parts += ["Other services:", alternatives(prices)]
    console = Console(width=400, file=io.StringIO())
    with console.capture() as capture:
        for part in parts:
            console.print(part, highlight=False)
    text = "\n".join(line.strip() for line in capture.get().splitlines())
    before, _, rest = document.partition(_BEGIN)
    return f"{before}{_BEGIN}{text}\n{_END}{rest.partition(_END)[2]}"


if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
