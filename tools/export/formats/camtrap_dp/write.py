"""Writes the four files of a package in constant memory: rows are sorted into events on disk first."""

from __future__ import annotations

import csv
import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError
from storage.keys import wall_clock
from storage.query.events import EventSorter
from tools.export.formats.camtrap_dp import terms
from tools.export.formats.camtrap_dp.deployments import Deployments, read_deployments
from tools.export.formats.camtrap_dp.package import NOT_STATED, descriptor, read_metadata, scientific_names
from tools.export.formats.camtrap_dp.rows import (
    HUMAN,
    MACHINE,
    Names,
    Photo,
    event_cells,
    event_observation,
    media_observation,
    media_row,
)
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import timedelta, tzinfo
    from pathlib import Path

    from storage.query.events import Event
    from storage.reviews.join import ReviewedRow
    from tools.export.formats.camtrap_dp.deployments import Deployment
    from tools.export.label_types import LabelType

CONTENTS = ("deployments.csv", "media.csv", "observations.csv", "datapackage.json")


@dataclass(frozen=True, slots=True)
class PackageOptions:
    """The options of the format.

    Attributes:
        container: Where the images are.
        template: Where a ``deployments.csv`` to fill in is written, if coordinates are unknown.
        gap: Photos of one camera that are less than this apart are one event.
        type_of: The type of a label.
        report: Prints a sentence while the run goes on.
        deployments: The user's file, if there is one.
        zone: Of the cameras' clocks where a deployment states none.
        metadata: The user's JSON file, if there is one.
        media_url: What precedes the names of public images; ``None`` for relative paths.
    """

    container: str
    template: Path
    gap: timedelta
    type_of: Callable[[str], LabelType]
    report: Callable[[str], object]
    deployments: Path | None = None
    zone: tzinfo | None = None
    metadata: Path | None = None
    media_url: str | None = None


def write(rows: Iterable[ReviewedRow], folder: Path, options: PackageOptions) -> dict[str, int]:
    """Write the package, and return the numbers of its rows and of images left out.

    Args:
        rows: Results with their reviews, in any order.
        folder: An empty folder.
        options: The options of the format.

    Raises:
        ConfigurationError: A file of the user is wrong; a time zone or a coordinate is unknown; no image has a time.
        TransientError: The disk for temporary files is full.
    """
    metadata = read_metadata(options.metadata)
    names = Names(options.container, options.type_of, scientific_names(metadata), options.media_url)
    deployments = Deployments(_given(options), options.zone)
    left_out = 0
    with EventSorter(options.gap) as sorter:
        for row in rows:
            record = row.record
            if wall_clock(record.taken_at) is None:
                left_out += 1
                continue
            deployment = deployments.of(record.blob_name)
            taken = deployment.time_of(record.taken_at or "")
            deployment.add(record, taken)
            text = Photo.from_row(row, deployment, taken).to_text()
            sorter.add(record, text, row.label if row.is_human else None)
        if sorter.is_empty:
            raise ConfigurationError(
                "No selected image has a capture time, and Camtrap DP needs one: run `backfill --facts`, or set "
                "TAKEN_AT_FROM_NAME."
            )
        deployment_rows = deployments.rows(options.template)
        options.report("All rows are read; the tables are written by camera and time.")
        with ExitStack() as files:
            tables = _Tables(folder, files, deployments, names)
            for event, photos in sorter.events():
                tables.add(event, photos)
    with (folder / "deployments.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, terms.DEPLOYMENTS)
        lines.writeheader()
        lines.writerows(deployment_rows)
    document = descriptor(deployment_rows, tables.taxa, metadata, options.container)
    text = json.dumps(document, ensure_ascii=False, indent=2)
    (folder / "datapackage.json").write_text(f"{text}\n", encoding="utf-8")
    _report_gaps(document, options.report)
    return {
        "deployments": len(deployment_rows),
        "media": tables.media,
        "events": tables.events,
        "observations": tables.media + tables.event_observations,
        "left_out": left_out,
    }


class _Tables:
    """The two large tables, while they are written."""

    def __init__(self, folder: Path, files: ExitStack, deployments: Deployments, names: Names) -> None:
        self._deployments = deployments
        self._names = names
        self._media = _table(folder / "media.csv", terms.MEDIA, files)
        self._observations = _table(folder / "observations.csv", terms.OBSERVATIONS, files)
        self.taxa: set[str] = set()
        self.media = self.events = self.event_observations = 0

    def add(self, event: Event, photos: Iterable[str]) -> None:
        """Write the rows of an event."""
        self.events += 1
        parts: dict[str, _Part] = {}  # by deployment
        for text in photos:
            photo = Photo.from_text(text)
            if photo.deployment_id not in parts:
                deployment = self._deployments.named(photo.deployment_id)
                parts[photo.deployment_id] = _Part(event_cells(event, deployment))
            part = parts[photo.deployment_id]
            self._media.writerow(media_row(photo, self._names))
            self.media += 1
            self._observe(media_observation(photo, part.cells, self._names))
            part.add(photo)
        for number, part in enumerate(parts.values(), 1):
            self._observe(event_observation(event, number, part.cells, self._names) | part.by())
            self.event_observations += 1

    def _observe(self, observation: Mapping[str, Any]) -> None:
        self._observations.writerow(observation)
        if name := observation.get("scientificName"):
            self.taxa.add(name)


class _Part:
    """The photos of an event in one deployment: the cells of their event, and who classified them.

    Args:
        cells: From ``event_cells``.
    """

    def __init__(self, cells: Mapping[str, str]) -> None:
        self.cells = cells
        self._newest: dict[str, tuple[str, str]] = {}  # time and name, by method

    def add(self, photo: Photo) -> None:
        """Take a photo into account."""
        if photo.label is not None:
            answer = photo.classified_at, photo.classified_by
            self._newest[photo.method] = max(answer, self._newest.get(photo.method, answer))

    def by(self) -> dict[str, Any]:
        """Who classified the event: people where they reviewed every classified photo, else the model."""
        method = MACHINE if MACHINE in self._newest else HUMAN
        if method not in self._newest:
            return {}
        at, by = self._newest[method]
        cells: dict[str, Any] = {"classificationMethod": method, "classifiedBy": by, "classificationTimestamp": at}
        return cells if method == MACHINE else {**cells, "classificationProbability": None}


def _table(path: Path, columns: Sequence[str], files: ExitStack) -> csv.DictWriter[str]:
    lines = csv.DictWriter(files.enter_context(path.open("w", encoding="utf-8", newline="")), columns)
    lines.writeheader()
    return lines


def _given(options: PackageOptions) -> Mapping[str, Deployment] | None:
    if options.deployments is None:
        return None
    by_folder, others = read_deployments(options.deployments, options.zone)
    if others:
        columns = ", ".join(map(printable, others))
        options.report(f"Camtrap DP has no column {columns}: the package leaves it out.")
    return by_folder


def _report_gaps(document: Mapping[str, Any], report: Callable[[str], object]) -> None:
    """Name the facts that a publisher has to add."""
    unnamed = [
        taxon["scientificName"]
        for taxon in document["taxonomic"]
        if taxon == {"scientificName": taxon["scientificName"]}
    ]
    if unnamed:
        shown = ", ".join(map(printable, unnamed[:3])) + (", ..." if len(unnamed) > 3 else "")
        report(
            f"Labels that stand as scientific names: {shown}. If they are vernacular names, give --metadata with "
            "taxonomic (docs/ecologists.md)."
        )
    if document["contributors"][0].get("title") == NOT_STATED or document["project"].get("title") == NOT_STATED:
        report("Before you publish: state contributors and project in --metadata (docs/ecologists.md).")
