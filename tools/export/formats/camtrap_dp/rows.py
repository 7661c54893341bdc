"""Rows of ``media.csv`` and ``observations.csv``.

A photo is one row of media and one observation of the level ``media``. An event is one observation of the level
``event`` for each deployment of its photos, nearly always one; GBIF takes these.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from tools.export.formats.camtrap_dp.zones import written
from tools.export.label_types import LabelType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from storage.query.events import Event
    from storage.results.record import Record
    from storage.reviews.join import ReviewedRow
    from tools.export.formats.camtrap_dp.deployments import Deployment

_MEDIA_TYPES = {
    "mpo": "image/jpeg",
    "jpeg2000": "image/jp2",
    "ico": "image/vnd.microsoft.icon",
}
_MEDIA_TYPE = re.compile(r"(image|video|audio)/.+")
_UNKNOWN_TYPE = "image/unknown"
_REFUSED_IN_PATHS = re.compile(r"\.\.|[\x00-\x1f\x7f\u0085\u2028\u2029]")  # by the schema's pattern, and line ends
_UNCLASSIFIED = "unclassified"
HUMAN, MACHINE = "human", "machine"
"""The values of ``classificationMethod``."""


@dataclass(frozen=True, slots=True)
class Names:
    """How labels and files are named in the tables.

    Attributes:
        container: Where the images are.
        type_of: The type of a label.
        scientific: Scientific names by label in lower case; a label without one is its own name.
        media_url: What precedes the names of public images; ``None`` for relative paths.
    """

    container: str
    type_of: Callable[[str], LabelType]
    scientific: Mapping[str, str]
    media_url: str | None

    def scientific_name(self, label: str) -> str:
        """The name for the column ``scientificName``."""
        return self.scientific.get(label.lower(), label)

    def path(self, blob_name: str) -> str:
        """The column ``filePath``."""
        if self.media_url is not None:
            return f"{self.media_url.rstrip('/')}/{quote(blob_name)}"
        # The container's name comes first, so that no path begins with a dot or a slash.
        path = f"{self.container}/{blob_name}"
        return _REFUSED_IN_PATHS.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), path)


class Photo(NamedTuple):
    """A photo until its event is known, as little as its rows need: two million of them wait on disk.

    Attributes:
        timestamp: As the table has it; so are ``method``, ``classified_by`` and ``classified_at``.
        problem: Why it has no label.
        score: The model's for this label; ``None`` where a reviewer gave another.
    """

    blob_name: str
    deployment_id: str
    timestamp: str
    media_type: str
    problem: str
    label: str | None
    score: float | None
    method: str
    classified_by: str
    classified_at: str

    @classmethod
    def from_row(cls, row: ReviewedRow, deployment: Deployment, taken: datetime) -> Photo:
        """The photo of a result: classified by a reviewer, else by the model."""
        record = row.record
        if row.newest is not None and row.is_human:
            method, by, at = HUMAN, row.newest.reviewed_by, row.newest.reviewed_at.astimezone(UTC)
        else:
            method, by, at = MACHINE, f"{record.model} {record.model_version}", record.classified_at
        return cls(
            blob_name=record.blob_name,
            deployment_id=deployment.identifier,
            timestamp=written(taken),
            media_type=_media_type(record),
            problem=": ".join(filter(None, (record.reason, record.detail))) if row.label is None else "",
            label=row.label,
            score=None if method == HUMAN else row.score,
            method=method,
            classified_by=by,
            classified_at=written(at),
        )

    @classmethod
    def from_text(cls, text: str) -> Photo:
        """Read ``to_text``."""
        return cls(*json.loads(text))

    def to_text(self) -> str:
        """The photo as JSON."""
        return json.dumps(self, ensure_ascii=False)

    def media_id(self, names: Names) -> str:
        """``mediaID``: the same in every package."""
        return hashlib.sha256(f"{names.container}/{self.blob_name}".encode()).hexdigest()[:32]


def media_row(photo: Photo, names: Names) -> dict[str, str]:
    """The row of a photo in ``media.csv``."""
    return {
        "mediaID": photo.media_id(names),
        "deploymentID": photo.deployment_id,
        "timestamp": photo.timestamp,
        "filePath": names.path(photo.blob_name),
        "filePublic": "false" if names.media_url is None else "true",
        "fileName": photo.blob_name.rpartition("/")[2],
        "fileMediatype": photo.media_type,
        "mediaComments": photo.problem,
    }


def media_observation(photo: Photo, of_event: Mapping[str, str], names: Names) -> dict[str, Any]:
    """The observation of one photo; ``of_event`` is from ``event_cells``."""
    media_id = photo.media_id(names)
    classified_by = {
        "classificationMethod": photo.method,
        "classifiedBy": photo.classified_by,
        "classificationTimestamp": photo.classified_at,
    }
    return {
        "observationID": f"{media_id}-media",
        "mediaID": media_id,
        **of_event,
        "observationLevel": "media",
        **_label_cells(photo.label, photo.score, names),
        **(classified_by if photo.label is not None else {}),
    }


def event_cells(event: Event, deployment: Deployment) -> dict[str, str]:
    """The cells of every observation of an event in a deployment, on the clock of its camera."""
    return {
        "deploymentID": deployment.identifier,
        "eventID": event.event_id,
        "eventStart": written(deployment.time_of(event.start)),
        "eventEnd": written(deployment.time_of(event.end)),
    }


def event_observation(event: Event, number: int, of_event: Mapping[str, str], names: Names) -> dict[str, Any]:
    """The observation of an event in one deployment, without the cells of who classified it.

    Args:
        event: The event.
        number: Of the deployment among those of the event's photos, from 1.
        of_event: From ``event_cells``.
        names: How labels are named.
    """
    return {
        "observationID": f"{event.event_id}-event" + (f"-{number}" if number > 1 else ""),
        **of_event,
        "observationLevel": "event",
        **_label_cells(event.label, event.score, names),
    }


def _label_cells(label: str | None, score: float | None, names: Names) -> dict[str, Any]:
    if label is None:
        return {"observationType": _UNCLASSIFIED}
    label_type = names.type_of(label)
    return {
        "observationType": str(label_type),
        "scientificName": names.scientific_name(label) if label_type is LabelType.ANIMAL else "",
        # A decision's sum of scores may be above 1 by a rounding error.
        "classificationProbability": None if score is None else min(max(score, 0.0), 1.0),
        "observationTags": f"label:{label.replace('|', '/')}",
    }


def _media_type(record: Record) -> str:
    if record.format is not None:
        return _MEDIA_TYPES.get(record.format, f"image/{record.format}")
    guessed = mimetypes.guess_type(record.blob_name)[0] or ""
    return guessed if _MEDIA_TYPE.fullmatch(guessed) else _UNKNOWN_TYPE
