"""Shows a result as tables on a terminal, and its rates as an SVG picture."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from rich.table import Table

from tools.bench.benchmarks import key
from tools.bench.inputs.networks import DEFAULT_NETWORK
from tools.bench.inputs.photos import JPEGS
from tools.bench.machine import MAX_OTHER_CPU
from tools.bench.result import change
from tools.svg import picture, shape, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from tools.bench.result import Result
    from tools.svg import Element

_MOST_PACKAGES = 12
_LEFT, _LONGEST, _ROW, _BAR, _GROUP = 250, 400, 22, 15, 122  # user units of the picture
_BASELINE, _APP, _LIMIT = "#9aa5b1", "#1f6feb", "#d0d7de"


def show(console: Console, result: Result) -> None:
    """Print all tables of a result."""
    machine = result.machine
    console.print(
        f"{machine['cpu']}, {machine['usable_cpus']} usable CPUs, {machine['system']}, Python {machine['python']}; "
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
    trials = sum(len(figure.measurements) for figure in result.figures.values())
    quiet = sum(figure.quiet for figure in result.figures.values())
    noisy = sum(figure.is_noisy for figure in result.figures.values())
    console.print(
        f"{quiet} of {trials} trials were undisturbed (others took at most {MAX_OTHER_CPU:.0%} of the CPUs) and count."
        + (f" {noisy} figures had too few and use their least disturbed trials: noisy." if noisy else ""),
        highlight=False,
    )


def comparison(kept: dict[str, Any], result: Result) -> Table:
    """Compare the ratios of a kept run with those of this one."""
    table = _table(f"Compared with the run of {kept['started']}", "ratio", "then", "now", "change")
    table.add_column("beyond noise")
    before = {ratio["name"]: ratio for ratio in kept["ratios"]}
    for ratio in result.ratios:
        then = before.pop(ratio.name, None)
        if then is None:
            table.add_row(ratio.name, "", f"{ratio.value:.2f}", "", "new")
            continue
        percent = f"{ratio.value / then['value'] - 1:+.1%}" if then["value"] > 0 < ratio.value else ""
        kind = change(then, ratio)
        style = {"worse": "red", "better": "green"}.get(kind, "")
        table.add_row(ratio.name, f"{then['value']:.2f}", f"{ratio.value:.2f}", percent, kind, style=style)
    for name, then in before.items():
        table.add_row(name, f"{then['value']:.2f}", "", "", "not measured", style="dim")
    return table


def _table(title: str, first: str, *numbers: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for column in numbers:
        table.add_column(column, justify="right")
    return table


def _figures(result: Result) -> Table:
    title = "Figures of this machine: medians"
    table = _table(title, "function / input / threads", "images/s", "CPU ms", "undisturbed")
    for name, figure in result.figures.items():
        rate = f"{1000 / figure.images_per_s:.0f} ms" if name.startswith("start") else f"{figure.images_per_s:.1f}"
        noisy = " noisy" if figure.is_noisy else ""
        table.add_row(name, rate, f"{figure.cpu_ms:.2f}", f"{figure.quiet} of {len(figure.measurements)}{noisy}")
    return table


def _imports(result: Result) -> Table:
    total = sum(each.ms for each in result.imports)
    title = f"Imports up to the first image: {total:.0f} ms under -X importtime"
    table = _table(title, "package", "modules", "ms")
    for each in result.imports[:_MOST_PACKAGES]:
        table.add_row(each.package, str(each.modules), f"{each.ms:.1f}")
    return table


def _ratios(result: Result) -> Table:
    table = _table("Ratios of this run", "ratio", "reached", "likely", "goal")
    for ratio in result.ratios:
        style = {True: "green", False: "red", None: ""}[ratio.is_reached]
        goal = "" if ratio.goal is None else f"{'>=' if ratio.more_is_better else '<='} {ratio.goal:g}"
        table.add_row(ratio.name, f"{ratio.value:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}", goal, style=style)
    return table


def plot(kept: dict[str, Any]) -> str:
    """Draw the rates of a result, given as its JSON object, as an SVG file.

    Each kind of photo is a group of bars with a scale of its own: only rates of the same photo are comparable.
    """
    cpus = int(kept["machine"]["usable_cpus"])
    label = f"Images per second on {cpus} CPUs, MobileNetV2: the sample pattern, this app, and the ceiling"
    groups = (_group(number * _GROUP, photo, _bars(kept["figures"], photo, cpus)) for number, photo in enumerate(JPEGS))
    return picture(760, len(JPEGS) * _GROUP + 20, label, chain(*groups))


def _group(top: float, photo: str, bars: list[tuple[str, float, str]]) -> Iterator[Element]:
    yield text(12, top + 34, f"{photo} JPEG, images/s", font_weight=600)
    longest = max(rate for _, rate, _ in bars)
    for number, (name, rate, colour) in enumerate(bars):
        y = top + 44 + number * _ROW
        width = max(1.0, rate / longest * _LONGEST)
        factor = "" if colour == _LIMIT else f"  ({rate / bars[0][1]:.1f}x)"
        yield text(_LEFT - 8, y + 12, name, text_anchor="end")
        yield shape("rect", x=_LEFT, y=y, width=width, height=_BAR, rx=2, fill=colour)
        yield text(_LEFT + width + 6, y + 12, f"{rate:.0f}{factor}")


def _bars(figures: dict[str, Any], photo: str, cpus: int) -> list[tuple[str, float, str]]:
    def rate(function: str, threads: int) -> float:
        return float(figures[key(function, photo, threads)]["images_per_s"])

    cpu_ms = figures[key("bare tensor", photo, 1)]["cpu_ms"] + figures[key("infer", DEFAULT_NETWORK, 1)]["cpu_ms"]
    return [
        ("sample pattern, serial", rate("sample", 1), _BASELINE),
        (f"sample pattern, {cpus} threads", rate("sample", cpus), _BASELINE),
        (f"this app, {cpus} threads", rate("classify", cpus), _APP),
        ("ceiling: CPUs / (decode + inference)", cpus * 1000 / cpu_ms, _LIMIT),
    ]
