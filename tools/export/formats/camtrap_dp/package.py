"""``datapackage.json``: the description of the tables, with the user's own facts about the project."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError
from tools.export.formats.camtrap_dp import terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

TABLES = ("deployments", "media", "observations")
NOT_STATED = "not stated"


def read_metadata(path: Path | None) -> dict[str, Any]:
    """Read the user's JSON object; its properties replace or add to those that are written.

    Raises:
        ConfigurationError: It cannot be read, or holds something else.
    """
    if path is None:
        return {}
    try:
        metadata = json.loads(path.read_bytes(), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"--metadata {path} cannot be read: {reason}.") from error
    if not isinstance(metadata, dict):
        raise ConfigurationError(f"--metadata {path} must hold a JSON object with properties of Camtrap DP.")
    for name, needed in (("contributors", "title"), ("taxonomic", "scientificName")):
        entries = metadata.get(name, [{needed: ""}])
        named = isinstance(entries, list) and all(
            isinstance(each, dict) and isinstance(each.get(needed), str) for each in entries
        )
        if not named or not (entries or name == "taxonomic"):
            raise ConfigurationError(f"--metadata {path}: {name} must be a list of objects, each with {needed}.")
    if not isinstance(metadata.get("project", {}), dict):
        raise ConfigurationError(f"--metadata {path}: project must be an object.")
    return metadata


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def scientific_names(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Scientific names by vernacular name in lower case, from ``taxonomic`` of the user's metadata."""
    found: dict[str, str] = {}
    for taxon in metadata.get("taxonomic", []):
        vernacular = taxon.get("vernacularNames")
        names = vernacular.values() if isinstance(vernacular, dict) else ()
        found |= {str(name).lower(): taxon["scientificName"] for name in (*names, taxon["scientificName"])}
    return found


def descriptor(
    deployments: Sequence[Mapping[str, str]], taxa: Iterable[str], metadata: Mapping[str, Any], container: str
) -> dict[str, Any]:
    """The whole document.

    Args:
        deployments: The rows of the table.
        taxa: Scientific names among the observations.
        metadata: The user's.
        container: Where the images are.
    """
    created = datetime.now(UTC)
    known = {taxon["scientificName"]: taxon for taxon in metadata.get("taxonomic", [])}
    project = {
        "title": NOT_STATED,
        "samplingDesign": "opportunistic",
        "captureMethod": ["activityDetection"],
        "individualAnimals": False,
        "observationLevel": ["media", "event"],
    }
    return {
        "profile": f"{terms.SCHEMAS}camtrap-dp-profile.json",
        "name": f"{container}-{created:%Y%m%d%H%M%S}",
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "title": f"Camera trap images of {container}",
        "contributors": [{"title": NOT_STATED, "role": "contributor"}],
        "spatial": _spatial(deployments),
        "temporal": _temporal(deployments),
        **metadata,
        "project": project | metadata.get("project", {}),
        "taxonomic": [known.get(name, {"scientificName": name}) for name in sorted(taxa)],
        "resources": [_resource(name) for name in TABLES],
    }


def _resource(name: str) -> dict[str, str]:
    return {
        "name": name,
        "path": f"{name}.csv",
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": f"{terms.SCHEMAS}{name}-table-schema.json",
    }


def _spatial(deployments: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """GeoJSON: the rectangle around all deployments, or the one place."""
    longitudes = [float(each["longitude"]) for each in deployments]
    latitudes = [float(each["latitude"]) for each in deployments]
    west, east, south, north = min(longitudes), max(longitudes), min(latitudes), max(latitudes)
    if (west, south) == (east, north):
        return {"type": "Point", "coordinates": [west, south]}
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [corners]}


def _temporal(deployments: Sequence[Mapping[str, str]]) -> dict[str, str]:
    starts = [datetime.fromisoformat(each["deploymentStart"]) for each in deployments]
    ends = [datetime.fromisoformat(each["deploymentEnd"]) for each in deployments]
    return {"start": min(starts).date().isoformat(), "end": max(ends).date().isoformat()}
