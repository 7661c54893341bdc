"""Rewrites the figures and the picture of docs/performance.md from the newest run in ``benchmarks``.

python -m tools bench --json benchmarks/0.1.0.json
python -m tools bench --only host --json benchmarks/host.json
python -m tests.tools.regenerate_figures
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tools.bench.benchmarks import AT_ONCE, FIRST_IMAGES, SOURCES
from tools.bench.inputs.photos import JPEGS
from tools.bench.tables import plot

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "img" / "performance.svg"
HOST_RUN = ROOT / "benchmarks" / "host.json"
_PLACE = re.compile(r"(<!-- figures: [^>]*-->\n).*?(<!-- end of figures -->)", re.DOTALL)
_HOST_COLUMNS = (
    *("function path", "worker", "host", "Azurite", "in memory"),
    *("function path / worker", "with the host", "in memory, with the host"),
)
_HOST_PLACE = re.compile(r"(<!-- host figures: [^>]*-->\n).*?(<!-- end of host figures -->)", re.DOTALL)


def kept() -> dict[str, Any]:
    """Return the run of the newest release."""
    newest = max(
        (ROOT / "benchmarks").glob("[0-9]*.json"), key=lambda path: [int(part) for part in path.stem.split(".")]
    )
    document: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
    return document


def document() -> str:
    """Return docs/performance.md with the figures of the kept runs."""
    host_run = json.loads(HOST_RUN.read_text(encoding="utf-8"))
    text = _PLACE.sub(lambda place: place[1] + _figures(kept()) + place[2], DOCUMENT.read_text(encoding="utf-8"))
    return _HOST_PLACE.sub(lambda place: place[1] + _host_figures(host_run) + place[2], text)


def _machine(run: dict[str, Any]) -> str:
    trials = sum(figure["trials"] for figure in run["figures"].values())
    quiet = sum(figure["quiet"] for figure in run["figures"].values())
    machine = run["machine"]
    return (
        f"{machine['cpu']}, {machine['usable_cpus']} CPUs, {machine['system']}; {run['started'][:10]}, "
        f"{run['seconds']} s, {quiet} of {trials} trials undisturbed."
    )


def _host_figures(run: dict[str, Any]) -> str:
    """Return the tables of a run of the part host."""
    ratios = {ratio["name"]: ratio for ratio in run["ratios"]}
    columns = ("function path", "worker", "host", "storage", "in memory")
    lines = [
        _machine(run),
        "",
        f"| | {' | '.join(_HOST_COLUMNS)} |",
        "|---" * (len(_HOST_COLUMNS) + 1) + "|",
    ]
    for source in SOURCES:
        for photo in JPEGS:
            cpu_ms = [f"{run['figures'][f'{column} / {source}, {photo}']['cpu_ms']:.1f}" for column in columns]
            found = [
                ratios[f"{photo}, {source}: CPU of {name}"]
                for name in (
                    "function path / worker",
                    "host alone and function path / under the host",
                    "host alone and decode and inference / under the host",
                )
            ]
            bands = [f"{each['value']:.2f} ({each['low']:.2f} to {each['high']:.2f})" for each in found]
            lines.append(f"| {photo}, {source} | {' | '.join(cpu_ms + bands)} |")
    lines += ["", "| | host alone, an answer at once | host with the app, its first images |", "|---|---|---|"]
    for source in SOURCES:
        alone, first = (run["figures"][f"host / {source}, {of}"] for of in (AT_ONCE, FIRST_IMAGES))
        lines.append(f"| {source} | {alone['cpu_ms']:.1f} | {first['cpu_ms']:.1f} |")
    return "\n".join([*lines, ""])


def _figures(run: dict[str, Any]) -> str:
    machine = run["machine"]
    trials = sum(figure["trials"] for figure in run["figures"].values())
    quiet = sum(figure["quiet"] for figure in run["figures"].values())
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    system = f"{machine['cpu']}, {machine['usable_cpus']} CPUs, {machine['system']}"
    lines = [
        f"{system}, Python {machine['python']} ({packages});",
        f"{run['started'][:10]}, {run['seconds']} s, {quiet} of {trials} trials undisturbed.",
        "",
        "| ratio | reached | likely | goal |",
        "|---|---|---|---|",
        *(_ratio(ratio) for ratio in run["ratios"]),
        "",
        "| function / input / threads | images/s | CPU ms | undisturbed |",
        "|---|---|---|---|",
        *(_figure(name, figure) for name, figure in run["figures"].items()),
        "",
        "| imported up to the first image | modules | ms under `-X importtime` |",
        "|---|---|---|",
        *(f"| {each['package']} | {each['modules']} | {each['ms']:.1f} |" for each in run["imports"][:12]),
        "",
    ]
    return "\n".join(lines)


def _ratio(ratio: dict[str, Any]) -> str:
    goal = "" if ratio["goal"] is None else f"{'>=' if ratio['more_is_better'] else '<='} {ratio['goal']:g}"
    return f"| {ratio['name']} | {ratio['value']:.2f} | {ratio['low']:.2f} to {ratio['high']:.2f} | {goal} |"


def _figure(name: str, figure: dict[str, Any]) -> str:
    rate = f"{1000 / figure['images_per_s']:.0f} ms" if name.startswith("start") else f"{figure['images_per_s']:.1f}"
    return f"| {name} | {rate} | {figure['cpu_ms']:.2f} | {figure['quiet']} of {figure['trials']} |"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
    PICTURE.write_text(plot(kept()), encoding="utf-8")
