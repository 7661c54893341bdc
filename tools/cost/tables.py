"""The bill for people: a line per size, or one size line by line; and where every rate is from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.cost.estimate import Bill, Job
    from tools.cost.prices import PriceList

_HEADINGS = ("USD", "Functions", "a thousand", "if each alone", "grants")


def sizes_table(jobs: Sequence[Job], bills: Sequence[Bill]) -> str:
    """One line per instance size."""
    rows = [f"{f'{jobs[0].images:,} images':<24}" + "".join(f"{heading:>15}" for heading in _HEADINGS)]
    rows += [
        f"  {f'{job.memory_mb} MB, {job.cores:g} CPU':<22}{priced.usd:>15,.2f}{priced.functions_usd:>15,.2f}"
        f"{priced.usd_per_1000:>15.4f}{priced.usd + priced.alone_more_usd:>15,.2f}{-priced.granted_usd:>15,.2f}"
        for job, priced in zip(jobs, bills, strict=True)
    ]
    return "\n".join([*rows, "", "One size line by line: --memory."])


def bill_table(job: Job, priced: Bill, prices: PriceList) -> str:
    """One instance size, every line of its bill."""
    size = f"instances of {job.memory_mb} MB ({job.cores:g} CPU, {job.at_once} images at once)"
    rows = [f"{job.images:,} images on {size}, {job.busy_s * 1000:.1f} ms active per image", ""]
    rows += [
        f"  {line.by:<11}{line.what:<40}{line.quantity:>16,.1f} x {prices.rates[line.rate]!s:<20}{line.usd:>10,.2f}"
        for line in priced.lines
    ]
    rows += [
        _sum("a busy app, nothing granted", f"{priced.usd:,.2f}"),
        _sum("a thousand images", f"{priced.usd_per_1000:.4f}"),
        "",
        _sum(f"more if every image came alone ({job.alone_s:.1f} s billed each)", f"{priced.alone_more_usd:,.2f}"),
        _sum("less by a month's free grants, as far as they are known", f"{-priced.granted_usd:,.2f}"),
    ]
    return "\n".join(rows)


def sources_table(prices: PriceList) -> str:
    """Every rate, grant and alternative with its source."""
    rates = [
        f"{name:<16}{rate!s:<22}{rate.what}; {rate.where}; {rate.dated}\n{'':<38}{rate.source}"
        for name, rate in prices.rates.items()
    ]
    grants = [
        f"{name:<16}{_known(grant.free, ',.0f')} free a month; {grant.source}" for name, grant in prices.grants.items()
    ]
    others = [
        f"{other.name}: ${_known(other.usd_per_1000, '.2f')} a thousand; {other.tiers}\n{'':<38}{other.source}"
        for other in prices.alternatives
    ]
    return "\n".join([*rates, "", *grants, "", *others])


def _sum(what: str, usd: str) -> str:
    return f"  {'':<11}{what:<79}{usd:>10}"


def _known(number: float | None, form: str) -> str:
    return "?" if number is None else format(number, form)
