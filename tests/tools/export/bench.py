"""Writes many rows in every format, from a generator instead of a table, and prints time, memory and size.

python -m tests.tools.export.bench [ROWS] [FORMAT...]

Each format runs in a process of its own, once with 10,000 rows and once with all. The difference between the two peaks
shows whether memory grows with the rows. The rows come without storage: reading a table takes longer than most formats.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from inference.predictions import Prediction
from storage.query.plan import Filter
from storage.reviews.join import ReviewedRow
from tests.storage.samples import NOON, record
from tools.export.registry import FORMATS, Export

if TYPE_CHECKING:
    from collections.abc import Iterator


_FEW = 10_000
_DAYS = 365
_LABELS = [f"label {number}" for number in range(50)]
_PLACE = {"latitude": 50.7, "longitude": 4.25}
_CAPTURED = {"megadetector", "camtrap-dp"}  # formats of camera traps
_TOP = tuple(Prediction(label, number, 0.5 / (number + 1)) for number, label in enumerate(_LABELS[:5]))


def results(rows: int, *, captured: bool = False) -> Iterator[ReviewedRow]:
    """Rows of one year, newest first, from 100 cameras' folders, with five predictions each.

    With ``captured`` each camera took three photos ten seconds apart, once in a while, at a known place.
    """
    for number in range(rows):
        day = number * _DAYS // rows
        taken = NOON - timedelta(minutes=5 * (number // 300), seconds=10 * (number // 100 % 3))
        facts = {"taken_at": f"{taken:%Y-%m-%dT%H:%M:%S}", "camera_serial": f"SN {number % 100}", **_PLACE}
        yield ReviewedRow(
            record(
                f"site-{number % 100:02d}/2026/IMG_{number:07d}.JPG",
                label=_LABELS[number % 50],
                score=0.5 + number % 1000 / 2000,
                predictions=_TOP,
                etag=f"0x8DE{number:012X}",
                classified_at=NOON - timedelta(days=day, microseconds=number),
                **(facts if captured else {}),
            )
        )


def measured(name: str, rows: int, folder: Path) -> dict[str, Any]:
    """Write the rows in this process."""
    format_name, _, option = name.partition(" ")
    since_last, events = option == "--since-last", option == "--events"
    options = argparse.Namespace(
        since_last=since_last, events=events, list=True, output=folder / "export", timezone=UTC
    )
    vars(options).update(dict.fromkeys(("label_type", "deployments", "gap", "metadata", "media_url")))
    export = Export(cast("Any", None), Filter("incoming"), options, str, lambda _: results(rows))
    chosen = FORMATS[format_name]
    path = folder / "export"
    if chosen.contents:
        path.mkdir()
    started = time.perf_counter()
    chosen.write(results(rows, captured=events or format_name in _CAPTURED), path, export)
    seconds = time.perf_counter() - started
    files = path.rglob("*") if path.is_dir() else [path]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "mib": peak, "megabytes": sum(each.stat().st_size for each in files) / 1e6}


def main() -> None:
    """Measure each format and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("formats", nargs="*", default=[*FORMATS, "parquet --since-last", "csv --events"])
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(json.dumps(measured(args.formats[0], args.rows, Path(folder))))
        return
    sys.stdout.write("| format | seconds | peak memory, 10,000 rows | all rows | size |\n|---|---|---|---|---|\n")
    for name in args.formats:
        few, many = (in_own_process(name, rows) for rows in (_FEW, args.rows))
        peaks = f"{few['mib']:.0f} MiB | {many['mib']:.0f} MiB"
        sys.stdout.write(f"| `{name}` | {many['seconds']:.0f} | {peaks} | {many['megabytes']:.0f} MB |\n")
        sys.stdout.flush()


def in_own_process(name: str, rows: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.tools.export.bench", "--one", str(rows), name]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return cast("dict[str, Any]", json.loads(output.splitlines()[-1]))


if __name__ == "__main__":
    main()
