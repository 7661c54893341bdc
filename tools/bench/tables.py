"""A result as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from tools.bench.machine import FOREIGN_SHARE

if TYPE_CHECKING:
    from rich.console import Console

    from tools.bench.ratios import Ratio
    from tools.bench.result import Result

_DEAREST = 12


def show(console: Console, result: Result) -> None:
    """Print everything."""
    about = result.machine
    console.print(
        f"{about['cpu']}, {about['usable_cpus']} usable CPUs, {about['system']}, Python {about['python']}; "
        f"{result.started:%Y-%m-%d %H:%M} UTC, {result.seconds:.0f} s",
        highlight=False,
    )
    console.print(_figures(result))
    for name, requests in result.requests.items():
        console.print(f"Storage requests of a {name} upload: {len(requests)}", highlight=False)
        for request in requests:
            console.print(f"  {request.partition('(')[0]}", highlight=False, markup=False)
    if result.imports:
        console.print(_imports(result))
    console.print(_ratios(result))
    tried = sum(len(figure.trials) for figure in result.figures.values())
    quiet = sum(figure.quiet for figure in result.figures.values())
    noisy = sum(figure.quiet < min(3, figure.wanted) for figure in result.figures.values())
    console.print(
        f"{quiet} of {tried} trials were undisturbed (others took at most {FOREIGN_SHARE:.0%} of the CPUs) and count."
        + (
            f" {noisy} figures had too few of them and stand on their least disturbed trials: [noisy]." if noisy else ""
        ),
        highlight=False,
        markup=False,
    )


def _figures(result: Result) -> Table:
    table = Table(title="Figures of this machine: medians", title_justify="left")
    table.add_column("contestant / of what / threads")
    for column in ("images/s", "CPU ms", "quiet/tried"):
        table.add_column(column, justify="right")
    for name, figure in result.figures.items():
        per_s = figure.images_per_s
        rate = f"{1000 / per_s:.0f} ms" if name.startswith("start") else f"{per_s:.1f}"
        noisy = "" if figure.quiet >= min(3, figure.wanted) else " noisy"
        table.add_row(name, rate, f"{figure.cpu_ms:.2f}", f"{figure.quiet}/{len(figure.trials)}{noisy}")
    return table


def _imports(result: Result) -> Table:
    total = sum(each.ms for each in result.imports)
    table = Table(title=f"Imports up to the first image: {total:.0f} ms under -X importtime", title_justify="left")
    table.add_column("package")
    table.add_column("modules", justify="right")
    table.add_column("ms", justify="right")
    for each in result.imports[:_DEAREST]:
        table.add_row(each.package, str(each.modules), f"{each.ms:.1f}")
    return table


def _ratios(result: Result) -> Table:
    table = Table(title="What it means: ratios of this run", title_justify="left")
    table.add_column("")
    table.add_column("reached", justify="right")
    table.add_column("likely", justify="right")
    table.add_column("goal", justify="right")
    for ratio in result.ratios:
        style = {True: "green", False: "red", None: ""}[ratio.is_reached]
        table.add_row(
            ratio.name, f"{ratio.value:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}", _goal(ratio), style=style
        )
    return table


def _goal(ratio: Ratio) -> str:
    if ratio.goal is None:
        return ""
    return f"{'>=' if ratio.more_is_better else '<='} {ratio.goal:g}"
