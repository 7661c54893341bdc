"""The rates as one SVG picture for the README: bars of images per second, in groups by photo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from tools.benching.contests import PATH_NETWORK, key
from tools.benching.photos import JPEGS

if TYPE_CHECKING:
    from pathlib import Path

_WIDTH, _LEFT, _ROW, _BAR, _GROUP = 760, 250, 22, 15, 34
_PLOT = _WIDTH - _LEFT - 110
_COLOURS = {"peer": "#9aa5b1", "ours": "#1f6feb", "limit": "#d0d7de"}
_INK = "#24292f"


def write_plot(path: Path, kept: dict[str, Any]) -> None:
    """Write the picture of a run, given as its JSON object."""
    path.write_text(drawing(kept), encoding="utf-8")


def drawing(kept: dict[str, Any]) -> str:
    """Return the SVG; each group has its own scale, for only rates of the same photo can be compared."""
    cpus = int(kept["machine"]["usable_cpus"])
    parts: list[str] = []
    y = 34
    for photo in JPEGS:
        bars = _bars(kept["figures"], photo, cpus)
        longest = max(rate for _, rate, _ in bars)
        parts.append(_text(12, y, f"{photo} JPEG, images/s", weight=600))
        y += 10
        for name, rate, role in bars:
            width = max(1.0, rate / longest * _PLOT)
            parts.append(_text(_LEFT - 8, y + 12, name, anchor="end"))
            parts.append(
                f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{_COLOURS[role]}"/>'
            )
            factor = f"{rate:.0f}" if role == "limit" else f"{rate:.0f}  ({rate / bars[0][1]:.1f}x)"
            parts.append(_text(_LEFT + width + 6, y + 12, factor))
            y += _ROW
        y += _GROUP - 10
    height = y
    said = f"Images per second on {cpus} CPUs, MobileNetV2: the sample pattern, this app, and the ceiling"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(said)}" font-family="system-ui, sans-serif" font-size="13">'
    )
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>', *parts, "</svg>\n"])


def _bars(figures: dict[str, Any], photo: str, cpus: int) -> list[tuple[str, float, str]]:
    def rate(*of: Any) -> float:
        return float(figures[key(*of)]["images_per_s"])

    cost_ms = figures[key("bare tensor", photo, 1)]["cpu_ms"] + figures[key("infer", PATH_NETWORK, 1)]["cpu_ms"]
    return [
        ("sample pattern, serial", rate("sample", photo, 1), "peer"),
        (f"sample pattern, {cpus} threads", rate("sample", photo, cpus), "peer"),
        (f"this app, {cpus} threads", rate("classify", photo, cpus), "ours"),
        ("ceiling: CPUs / (decode + inference)", cpus * 1000 / cost_ms, "limit"),
    ]


def _text(x: float, y: float, said: str, *, anchor: str = "start", weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="{_INK}">{escape(said)}</text>'
    )
