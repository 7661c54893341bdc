"""The published profile and table schemas of Camtrap DP 1.0.2, restated for frictionless, which has no network here.

Sources: camtrap-dp-profile.json, deployments-table-schema.json, media-table-schema.json and
observations-table-schema.json of github.com/tdwg/camtrap-dp, tag 1.0.2. Only what a validator reads is restated:
names, types, formats, constraints, keys. They are written by hand and not taken from the code under test.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from frictionless import system, validate
from requests import Response
from urllib3 import HTTPResponse

if TYPE_CHECKING:
    from pathlib import Path

BASE = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2/"
_TIME = {"type": "datetime", "format": "%Y-%m-%dT%H:%M:%S%z"}
_MISSING = ["", "NA", "NaN", "nan"]


def _field(name: str, kind: str = "string", **constraints: Any) -> dict[str, Any]:
    form = _TIME if kind == "datetime" else {"type": kind}
    return {"name": name, **form, "constraints": {"required": False, **constraints}}


def _key(field: str, resource: str) -> dict[str, Any]:
    return {"fields": field, "reference": {"resource": resource, "fields": field}}


_FEATURES = (
    "roadPaved roadDirt trailHiking trailGame roadUnderpass roadOverpass roadBridge culvert burrow nestSite carcass "
    "waterSource fruitingTree"
)
_TYPES = "animal human vehicle blank unknown unclassified"
DEPLOYMENTS = {
    "name": "deployments",
    "fields": [
        _field("deploymentID", required=True, unique=True),
        _field("locationID"),
        _field("locationName"),
        _field("latitude", "number", required=True, minimum=-90, maximum=90),
        _field("longitude", "number", required=True, minimum=-180, maximum=180),
        _field("coordinateUncertainty", "integer", minimum=1),
        _field("deploymentStart", "datetime", required=True),
        _field("deploymentEnd", "datetime", required=True),
        _field("setupBy"),
        _field("cameraID"),
        _field("cameraModel"),
        _field("cameraDelay", "integer", minimum=0),
        _field("cameraHeight", "number", minimum=0),
        _field("cameraDepth", "number", minimum=0),
        _field("cameraTilt", "integer", minimum=-90, maximum=90),
        _field("cameraHeading", "integer", minimum=0, maximum=360),
        _field("detectionDistance", "number", minimum=0),
        _field("timestampIssues", "boolean"),
        _field("baitUse", "boolean"),
        _field("featureType", enum=_FEATURES.split()),
        _field("habitat"),
        _field("deploymentGroups"),
        _field("deploymentTags"),
        _field("deploymentComments"),
    ],
    "missingValues": _MISSING,
    "primaryKey": "deploymentID",
}
MEDIA = {
    "name": "media",
    "fields": [
        _field("mediaID", required=True, unique=True),
        _field("deploymentID", required=True),
        _field("captureMethod", enum=["activityDetection", "timeLapse"]),
        _field("timestamp", "datetime", required=True),
        _field("filePath", required=True, pattern=r"^(?=^[^./~])(^((?!\.{2}).)*$).*$"),
        _field("filePublic", "boolean", required=True),
        _field("fileName"),
        _field("fileMediatype", required=True, pattern="^(image|video|audio)/.*$"),
        _field("exifData", "any"),
        _field("favorite", "boolean"),
        _field("mediaComments"),
    ],
    "missingValues": _MISSING,
    "primaryKey": "mediaID",
    "foreignKeys": [_key("deploymentID", "deployments")],
}
OBSERVATIONS = {
    "name": "observations",
    "fields": [
        _field("observationID", required=True, unique=True),
        _field("deploymentID", required=True),
        _field("mediaID"),
        _field("eventID"),
        _field("eventStart", "datetime", required=True),
        _field("eventEnd", "datetime", required=True),
        _field("observationLevel", required=True, enum=["media", "event"]),
        _field(
            "observationType", required=True, enum=["animal", "human", "vehicle", "blank", "unknown", "unclassified"]
        ),
        _field("cameraSetupType", enum=["setup", "calibration"]),
        _field("scientificName"),
        _field("count", "integer", minimum=1),
        _field("lifeStage", enum=["adult", "subadult", "juvenile"]),
        _field("sex", enum=["female", "male"]),
        _field("behavior"),
        _field("individualID"),
        _field("individualPositionRadius", "number", minimum=0),
        _field("individualPositionAngle", "number", minimum=-90, maximum=90),
        _field("individualSpeed", "number", minimum=0),
        _field("bboxX", "number", minimum=0, maximum=1),
        _field("bboxY", "number", minimum=0, maximum=1),
        _field("bboxWidth", "number", minimum=1e-15, maximum=1),
        _field("bboxHeight", "number", minimum=1e-15, maximum=1),
        _field("classificationMethod", enum=["human", "machine"]),
        _field("classifiedBy"),
        _field("classificationTimestamp", "datetime"),
        _field("classificationProbability", "number", minimum=0, maximum=1),
        _field("observationTags"),
        _field("observationComments"),
    ],
    "missingValues": _MISSING,
    "primaryKey": "observationID",
    "foreignKeys": [_key("deploymentID", "deployments"), _key("mediaID", "media")],
}
_STRING = {"type": "string"}
_OBJECT = {"type": "object"}
_RESOURCE = {
    "required": ["name", "path", "profile", "schema"],
    "properties": {
        "name": {"enum": ["deployments", "media", "observations"]},
        "profile": {"enum": ["tabular-data-resource"]},
        "schema": {"type": "string", "format": "uri", "pattern": r"1\.0"},
    },
}
_PROJECT = {
    "type": "object",
    "required": ["title", "samplingDesign", "captureMethod", "individualAnimals", "observationLevel"],
    "properties": {
        "title": _STRING,
        "samplingDesign": {
            "enum": ["simpleRandom", "systematicRandom", "clusteredRandom", "experimental", "targeted", "opportunistic"]
        },
        "captureMethod": {
            "type": "array",
            "items": {"enum": ["activityDetection", "timeLapse"]},
            "uniqueItems": True,
            "minItems": 1,
        },
        "individualAnimals": {"type": "boolean"},
        "observationLevel": {"type": "array", "items": {"enum": ["media", "event"]}},
    },
}
_TAXON = {
    "type": "object",
    "required": ["scientificName"],
    "properties": {
        "scientificName": _STRING,
        "vernacularNames": {"patternProperties": {"^[a-z]{3}$": _STRING}, "additionalProperties": False},
    },
}
_ROLES = "contact principalInvestigator rightsHolder publisher contributor"
PROFILE = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["resources", "profile", "created", "contributors", "project", "spatial", "temporal", "taxonomic"],
    "properties": {
        "name": {"type": "string", "pattern": "^([-a-z0-9._/])+$"},
        "resources": {"minItems": 3, "items": _RESOURCE},
        "profile": {"type": "string", "format": "uri"},
        "created": {"type": "string", "format": "date-time"},
        "contributors": {
            "minItems": 1,
            "items": {"required": ["title"], "properties": {"role": {"enum": _ROLES.split()}}},
        },
        "project": _PROJECT,
        "spatial": {
            "type": "object",
            "required": ["type", "coordinates"],
            "properties": {"type": {"enum": ["Point", "Polygon"]}},
        },
        "temporal": {
            "required": ["start", "end"],
            "properties": {each: {"type": "string", "format": "date"} for each in ("start", "end")},
        },
        "taxonomic": {"type": "array", "items": _TAXON},
    },
}
_PUBLISHED = {
    "camtrap-dp-profile.json": PROFILE,
    "deployments-table-schema.json": DEPLOYMENTS,
    "media-table-schema.json": MEDIA,
    "observations-table-schema.json": OBSERVATIONS,
}


class _Session:
    """Answers requests for the published documents; every other one fails."""

    def get(self, url: str, **_options: Any) -> Response:
        response = Response()
        response.status_code = 200
        response.raw = HTTPResponse(
            io.BytesIO(json.dumps(_PUBLISHED[url.removeprefix(BASE)]).encode()), preload_content=False
        )
        return response


def problems(folder: Path) -> list[str]:
    """Validate a package with frictionless, and return every error."""
    with system.use_context(http_session=_Session(), trusted=True):
        report = validate(folder / "datapackage.json")
    return [" ".join(map(str, row)) for row in report.flatten(["name", "rowNumber", "fieldName", "type", "message"])]
