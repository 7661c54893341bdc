"""The picture of ``docs/scale.md``: what a burst reaches, and how long images wait, by instances."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

from tools.drawing import Axis, Chart, Line, picture

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLOURS = ("#0b6e99", "#d9480f", "#868e96", "#2b8a3e", "#7048e8", "#c2255c", "#1a1a1a")
_INSTANCES = Axis((1, 10, 100, 1000), is_logarithmic=True)
_OF_WHAT = "instances (2048 MB, 1 core)"

Outcome = dict[str, Any]


def drawn(results: dict[str, list[Outcome]]) -> str:
    """Draw what ``sweep`` wrote."""
    parts = [*_rates(results["bursts"]).drawn(), *_waits(results["one_burst"]).drawn()]
    return picture(1000, 460, "Rows per second, and waiting time, by number of instances", parts)


def _rates(outcomes: Sequence[Outcome]) -> Chart:
    up = Axis((20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000), is_logarithmic=True)
    lines = [Line("cores alone", "#adb5bd", [(1, 31), (320, 9920)], is_dashed=True)]
    names = dict.fromkeys(one["variant"] for one in outcomes)
    for name, colour in zip(names, cycle(_COLOURS), strict=False):
        points = [(one["instances"], one["images_per_s"]) for one in outcomes if one["variant"] == name]
        lines.append(Line(name, colour, points))
    return Chart(60, 50, 440, 350, "A burst: rows per second", _OF_WHAT, _INSTANCES, up, lines, names_at=(240, 258))


def _waits(outcomes: Sequence[Outcome]) -> Chart:
    up = Axis((1, 3, 10, 30, 100, 300, 1000), is_logarithmic=True)
    half, most = ([(one["instances"], one[key]) for one in outcomes] for key in ("p50_s", "p99_s"))
    lines = [Line("half of them sooner than", _COLOURS[0], half), Line("99 % of them sooner than", _COLOURS[1], most)]
    title = f"{outcomes[0]['images']:,} uploads: seconds to the row"
    return Chart(590, 50, 380, 350, title, _OF_WHAT, _INSTANCES, up, lines, names_at=(770, 70))
