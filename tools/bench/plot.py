"""The rates as one SVG picture for the README: bars of images per second, in groups by photo."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from tools.bench.benchmarks import PATH_NETWORK, key
from tools.bench.photos import JPEGS
from tools.svg import picture, shape, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.svg import Element

_LEFT, _LONGEST, _ROW, _BAR, _GROUP = 250, 400, 22, 15, 122
_PEER, _OURS, _LIMIT = "#9aa5b1", "#1f6feb", "#d0d7de"


def write_plot(path: Path, kept: dict[str, Any]) -> None:
    """Write the picture of a run, given as its JSON object."""
    path.write_text(drawing(kept), encoding="utf-8")


def drawing(kept: dict[str, Any]) -> str:
    """Return the SVG; each group has its own scale, for only rates of the same photo can be compared."""
    cpus = int(kept["machine"]["usable_cpus"])
    said = f"Images per second on {cpus} CPUs, MobileNetV2: the sample pattern, this app, and the ceiling"
    groups = (_group(number * _GROUP, photo, _bars(kept["figures"], photo, cpus)) for number, photo in enumerate(JPEGS))
    return picture(760, len(JPEGS) * _GROUP + 20, said, chain(*groups))


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
    def rate(*of: Any) -> float:
        return float(figures[key(*of)]["images_per_s"])

    cost_ms = figures[key("bare tensor", photo, 1)]["cpu_ms"] + figures[key("infer", PATH_NETWORK, 1)]["cpu_ms"]
    return [
        ("sample pattern, serial", rate("sample", photo, 1), _PEER),
        (f"sample pattern, {cpus} threads", rate("sample", photo, cpus), _PEER),
        (f"this app, {cpus} threads", rate("classify", photo, cpus), _OURS),
        ("ceiling: CPUs / (decode + inference)", cpus * 1000 / cost_ms, _LIMIT),
    ]
