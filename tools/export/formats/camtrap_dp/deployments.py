"""Deployments: which one a photo belongs to, by its folder, and the rows of ``deployments.csv``.

The user's file has the columns of Camtrap DP's table, ``folder``, and ``timezone`` if zones differ. A photo belongs to
the longest ``folder`` above it. Without a file each folder is a deployment. Start and end that are not given are those
of the photos; coordinates that are not given are those of the first photo with a location.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from storage.keys import folder_of
from tools.export.formats.camtrap_dp import terms
from tools.export.formats.camtrap_dp.zones import parse_zone, written, zoned
from tools.query.output import spreadsheet_cell, without_apostrophe
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, tzinfo
    from pathlib import Path

    from storage.results.record import Record

_TOP = "(top)"
_OWN_COLUMNS = ("folder", "timezone")
_SHOWN = 3


@dataclass(slots=True)
class Deployment:
    """One camera at one place, and the photos that were seen of it.

    Attributes:
        identifier: ``deploymentID``.
        zone: Of the camera's clock; ``None`` if unknown.
        cells: Columns of the table that the user gave.
    """

    identifier: str
    zone: tzinfo | None
    cells: Mapping[str, str] = field(default_factory=dict)
    _first: datetime | None = None
    _last: datetime | None = None
    _place: tuple[float, float] | None = None

    def time_of(self, taken_at: str) -> datetime:
        """A time on the clock of this deployment's camera.

        Raises:
            ConfigurationError: The zone is unknown.
        """
        time = zoned(taken_at, self.zone)
        if time is None:
            raise ConfigurationError(
                f"The photos of deployment {printable(self.identifier)} state no time zone, and Camtrap DP needs one: "
                "give --timezone, such as +01:00 or Europe/Brussels, or the column timezone in --deployments."
            )
        return time

    def add(self, record: Record, taken: datetime) -> None:
        """Take a photo of it into account."""
        self._first = taken if self._first is None else min(self._first, taken)
        self._last = taken if self._last is None else max(self._last, taken)
        if self._place is None and record.latitude is not None and record.longitude is not None:
            self._place = (record.latitude, record.longitude)

    def row(self) -> dict[str, str]:
        """Its row; a column that is neither given nor known is empty."""
        known: dict[str, str] = {"deploymentID": self.identifier}
        if self._first is not None and self._last is not None:
            known |= {"deploymentStart": written(self._first), "deploymentEnd": written(self._last)}
        if self._place is not None:
            known |= {"latitude": str(self._place[0]), "longitude": str(self._place[1])}
        given = {name: cell for name, cell in self.cells.items() if cell}
        return {name: (known | given).get(name, "") for name in terms.DEPLOYMENTS}


class Deployments:
    """Finds the deployment of each photo.

    Args:
        by_folder: The user's deployments; ``None`` makes one of each folder.
        zone: Of deployments that state none.
    """

    def __init__(self, by_folder: Mapping[str, Deployment] | None, zone: tzinfo | None) -> None:
        self._zone = zone
        self._by_folder = dict(by_folder or {})
        self._is_given = by_folder is not None
        self._by_identifier = {each.identifier: each for each in self._by_folder.values()}

    def of(self, blob_name: str) -> Deployment:
        """The deployment of an image.

        Raises:
            ConfigurationError: No row of the user's file covers it.
        """
        folder = folder_of(blob_name) or ""
        if not self._is_given:
            if folder not in self._by_folder:
                deployment = Deployment(_identifier(folder), self._zone)
                self._by_folder[folder] = self._by_identifier[deployment.identifier] = deployment
            return self._by_folder[folder]
        above = folder.rstrip("/").strip()  # cells are read without the spaces around them
        while above not in self._by_folder:
            if not above:
                raise ConfigurationError(
                    f"No row of --deployments covers the folder {printable(folder) or '(top)'}: add a row for it, or "
                    "select other images."
                )
            above = above.rpartition("/")[0].rstrip()
        return self._by_folder[above]

    def named(self, identifier: str) -> Deployment:
        """The deployment of an identifier that a photo has."""
        return self._by_identifier[identifier]

    def rows(self, template: Path) -> list[dict[str, str]]:
        """The rows of the table, by identifier.

        Args:
            template: Where a file to fill in is written, if coordinates are unknown and the user gave no file.

        Raises:
            ConfigurationError: A deployment has no coordinates or no time.
        """
        rows = [self._by_identifier[identifier].row() for identifier in sorted(self._by_identifier)]
        for row in rows:
            if not row["deploymentStart"] or not row["deploymentEnd"]:
                raise ConfigurationError(
                    f"The deployment {printable(row['deploymentID'])} has no photo: give its deploymentStart and "
                    "deploymentEnd in --deployments, or leave it out."
                )
        lacking = [row["deploymentID"] for row in rows if not (row["latitude"] and row["longitude"])]
        if lacking:
            names = ", ".join(map(printable, lacking[:_SHOWN])) + (", ..." if len(lacking) > _SHOWN else "")
            raise ConfigurationError(
                f"Camtrap DP needs the coordinates of every deployment, and those of {names} are unknown: fill in "
                f"latitude and longitude in {self._file_to_fill_in(template)}."
            )
        return rows

    def _file_to_fill_in(self, template: Path) -> str:
        """Write the file unless there is one, and return how to give it to the next run."""
        if self._is_given:
            return "--deployments"
        if not template.exists():
            with template.open("w", encoding="utf-8", newline="") as file:
                lines = csv.DictWriter(file, [*_OWN_COLUMNS, *terms.DEPLOYMENTS])
                lines.writeheader()
                for folder, deployment in sorted(self._by_folder.items()):
                    names = {"folder": folder, "deploymentID": deployment.identifier}
                    safe_names = {name: spreadsheet_cell(cell) for name, cell in names.items()}
                    lines.writerow({"timezone": str(deployment.zone or ""), **deployment.row(), **safe_names})
        return f"{template}, and give that file as --deployments"


def read_deployments(path: Path, zone: tzinfo | None) -> tuple[dict[str, Deployment], list[str]]:
    """Read the user's file: deployments by folder, and its columns that Camtrap DP does not have.

    Args:
        path: CSV in UTF-8 with a header; separated by comma, semicolon or tab.
        zone: Of deployments that state none.

    Raises:
        ConfigurationError: It cannot be read, or a cell holds no value that its column may have.
    """
    by_folder: dict[str, Deployment] = {}
    by_identifier: dict[str, Deployment] = {}
    columns: list[str] = []
    for number, cells in _lines(path):
        columns = list(cells)
        where = f"{path.name}, line {number}"
        for name in ("folder", "deploymentID"):
            cells[name] = without_apostrophe(cells[name]) if name in cells else ""
            if name not in columns or (name == "deploymentID" and not cells[name]):
                raise ConfigurationError(f"{where}: {name} is missing.")
        try:
            own_zone = parse_zone(cells["timezone"]) if cells.get("timezone") else zone
            given = {name: _checked(name, cells.get(name, ""), own_zone) for name in terms.DEPLOYMENTS}
        except ValueError as error:
            raise ConfigurationError(f"{where}: {error}.") from None
        identifier = given["deploymentID"]
        deployment = by_identifier.setdefault(identifier, Deployment(identifier, own_zone, given))
        if deployment.cells != given:
            raise ConfigurationError(
                f"{where}: the deployment {printable(identifier)} has another row with other values."
            )
        folder = cells["folder"].replace("\\", "/").strip("/")
        if by_folder.setdefault(folder, deployment) is not deployment:
            raise ConfigurationError(f"{where}: the folder {printable(folder) or _TOP} belongs to another deployment.")
    return by_folder, [name for name in columns if name not in (*terms.DEPLOYMENTS, *_OWN_COLUMNS)]


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        header = text.partition("\n")[0]
        delimiter = max(",;\t", key=header.count)
        # Not splitlines(): a folder may hold a character, such as U+2028, that ends a line there and not in CSV.
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for cells in reader:
            yield reader.line_num, {str(name).strip(): str(cell or "").strip() for name, cell in cells.items() if name}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"--deployments {path} cannot be read: {reason}.") from error


def _checked(name: str, cell: str, zone: tzinfo | None) -> str:
    """A cell as the table takes it.

    Raises:
        ValueError: The column cannot have this value; the message says why.
    """
    if cell in terms.MISSING:
        return ""
    if name in terms.NUMBERS or name in terms.WHOLE_NUMBERS:
        lowest, highest = terms.NUMBERS.get(name) or terms.WHOLE_NUMBERS[name]
        try:
            number = float(cell) if name in terms.NUMBERS else int(cell)
        except ValueError:
            number = float("nan")
        if not lowest <= number <= highest or number == float("inf"):
            kind = "number" if name in terms.NUMBERS else "whole number"
            raise ValueError(f"{name} must be a {kind} from {lowest} to {highest}, not {cell!r}")
        return str(number)
    if name in terms.FLAGS:
        if cell.lower() not in {"true", "false"}:
            raise ValueError(f"{name} must be true or false, not {cell!r}")
        return cell.lower()
    if name == "featureType" and cell not in terms.FEATURE_TYPES:
        raise ValueError(f"featureType must be one of {', '.join(sorted(terms.FEATURE_TYPES))}, not {cell!r}")
    if name in {"deploymentStart", "deploymentEnd"}:
        return _time(name, cell, zone)
    return cell


def _time(name: str, cell: str, zone: tzinfo | None) -> str:
    try:
        time = zoned(cell, zone)
    except ValueError:
        raise ValueError(f"{name} must be a time such as 2026-05-01T12:00:00+02:00, not {cell!r}") from None
    if time is None:
        raise ValueError(f"{name} {cell} has no time zone: add one, the column timezone, or --timezone")
    return written(time)


def _identifier(folder: str) -> str:
    """The identifier of a folder: its name, unless that stands for no value."""
    return f"folder {folder or _TOP}" if folder in terms.MISSING else folder
