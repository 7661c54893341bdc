"""The option ``--events``: prints events of photos instead of photos."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

from rich.cells import set_cell_size
from rich.console import Console
from rich.text import Text

from inference.errors import ConfigurationError
from storage.keys import wall_clock
from storage.query.events import DEFAULT_GAP, EventSorter
from tools.query.output import set_csv_encoding, shortened, spreadsheet_cell
from tools.terminal import printable
from tools.times import parse_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from storage.query.events import Event
    from storage.reviews.join import ReviewedRow

COLUMNS = ("event_id", "camera", "start", "end", "label", "score", "image_count", "images")
# Columns of the table with their widths in terminal cells; the camera takes the rest.
_CELLS = {"start": 19, "seconds": 7, "images": 6, "label": 20, "score": 5}
_GAP = "  "
_NARROW_LABEL, _MIN_LABEL, _MIN_CAMERA = 12, 8, 12


def add_gap(group: argparse._ActionsContainer, of: str) -> None:
    """Declare ``--gap``.

    Args:
        group: Where.
        of: What takes the option, for the help: ``with --events``.
    """
    group.add_argument(
        "--gap",
        type=parse_duration,
        metavar="TIME",
        help=f"{of}: photos of one camera that are less than TIME apart are one event: 60s, 5m, 1h "
        f"({DEFAULT_GAP.seconds}s)",
    )


def add_events(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("events (read every row that the filters select)")
    group.add_argument(
        "--events",
        action="store_true",
        help="print events instead of images: photos that one camera took shortly after each other, with the label of "
        "the highest mean score",
    )
    add_gap(group, "with --events")


def check_events(args: argparse.Namespace) -> None:
    """Refuse options that do not go together.

    Raises:
        ConfigurationError: There are some.
    """
    if not args.events:
        if args.gap is not None:
            raise ConfigurationError("--gap says which photos are one event: add --events.")
        return
    if args.duplicates or args.like is not None:
        raise ConfigurationError("--events prints events, --duplicates and --like print images: choose one of them.")
    if args.download is not None:
        raise ConfigurationError("--download fetches the images of rows: leave out --events.")


def events_of(rows: Iterable[ReviewedRow], sorter: EventSorter) -> Iterator[tuple[Event, Iterator[str]]]:
    """Yield the events of rows, each with the names of its images.

    Args:
        rows: They are all read before the first event.
        sorter: A new one.
    """
    for row in rows:
        sorter.add(row.record, row.record.blob_name, row.label if row.is_human else None)
    return sorter.events()


def print_events(events: Iterable[tuple[Event, Iterator[str]]], output_format: str) -> int:
    """Print events in a format of ``output.FORMATS``, and return their number."""
    count = 0
    show = _FORMATS[output_format]()
    for count, (event, images) in enumerate(events, 1):  # noqa: B007 - the last number is the result
        show(event, images)
    return count


class _JsonLines:
    def __call__(self, event: Event, images: Iterator[str]) -> None:
        print(json.dumps(_values(event, list(images))), flush=True)


class _Csv:
    """``images`` is a JSON list."""

    def __init__(self) -> None:
        set_csv_encoding()
        self._lines = csv.writer(sys.stdout, lineterminator="\r\n")
        self._lines.writerow(COLUMNS)

    def __call__(self, event: Event, images: Iterator[str]) -> None:
        values = _values(event, json.dumps(list(images), ensure_ascii=False))
        self._lines.writerow([spreadsheet_cell(value) for value in values.values()])
        sys.stdout.flush()


class _Table:
    """Lines that fit the terminal; without a terminal no camera is cut.

    A narrow terminal shows shorter labels; a narrower one leaves out the seconds, then the score, then the camera.
    """

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._cells = dict(_CELLS)
        self._camera_cells: int | None = None
        self._has_camera = True
        if sys.stdout.isatty():
            self._fit()
        self._line({name: name for name in _CELLS}, "camera", style="bold")

    def _fit(self) -> None:
        if self._left() < _MIN_CAMERA:
            self._cells["label"] = _NARROW_LABEL
        for column in ("seconds", "score"):
            if self._left() < _MIN_CAMERA:
                del self._cells[column]
        self._has_camera = self._left() >= _MIN_CAMERA
        if self._has_camera:
            self._camera_cells = self._left()
        else:
            self._cells["label"] = max(_MIN_LABEL, self._cells["label"] + self._left() + len(_GAP))

    def _left(self) -> int:
        """Terminal cells for the camera."""
        return self._console.width - sum(width + len(_GAP) for width in self._cells.values())

    def __call__(self, event: Event, images: Iterator[str]) -> None:
        del images
        first, last = wall_clock(event.start), wall_clock(event.end)
        seconds = 0 if first is None or last is None else round((last - first).total_seconds())
        cells = {
            "start": printable(event.start)[: _CELLS["start"]],
            "seconds": f"{seconds:>7}",
            "images": f"{event.image_count:>6}",
            "label": printable(event.label or ""),
            "score": "" if event.score is None else f"{int(event.score * 100) / 100:>5.2f}",
        }
        self._line(cells, printable(event.camera))

    def _line(self, cells: Mapping[str, str], camera: str, style: str = "") -> None:
        shown = [set_cell_size(shortened(cells[name], width), width) for name, width in self._cells.items()]
        if self._has_camera:
            shown.append(camera if self._camera_cells is None else shortened(camera, self._camera_cells))
        self._console.print(Text(_GAP.join(shown), style=style))
        sys.stdout.flush()


_FORMATS: Mapping[str, Callable[[], Callable[[Event, Iterator[str]], None]]] = {
    "table": _Table,
    "csv": _Csv,
    "jsonl": _JsonLines,
}


def _values(event: Event, images: list[str] | str) -> dict[str, Any]:
    return {name: images if name == "images" else getattr(event, name) for name in COLUMNS}
