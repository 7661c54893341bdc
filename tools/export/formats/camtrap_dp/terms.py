"""The published terms: columns of the three tables, and the values that a deployment's columns may have.

Source: the table schemas of github.com/tdwg/camtrap-dp, tag 1.0.2, which camtrap-dp.tdwg.org/data shows.
"""

from __future__ import annotations

import math

VERSION = "1.0.2"
SCHEMAS = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{VERSION}/"
MISSING = frozenset({"", "NA", "NaN", "nan"})
"""Texts that stand for no value in every column."""

DEPLOYMENTS = (
    *("deploymentID", "locationID", "locationName", "latitude", "longitude", "coordinateUncertainty"),
    *("deploymentStart", "deploymentEnd", "setupBy", "cameraID", "cameraModel", "cameraDelay", "cameraHeight"),
    *("cameraDepth", "cameraTilt", "cameraHeading", "detectionDistance", "timestampIssues", "baitUse", "featureType"),
    *("habitat", "deploymentGroups", "deploymentTags", "deploymentComments"),
)
MEDIA = (
    *("mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic", "fileName", "fileMediatype"),
    *("exifData", "favorite", "mediaComments"),
)
OBSERVATIONS = (
    *("observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel"),
    *("observationType", "cameraSetupType", "scientificName", "count", "lifeStage", "sex", "behavior", "individualID"),
    *("individualPositionRadius", "individualPositionAngle", "individualSpeed", "bboxX", "bboxY", "bboxWidth"),
    *("bboxHeight", "classificationMethod", "classifiedBy", "classificationTimestamp", "classificationProbability"),
    *("observationTags", "observationComments"),
)

NUMBERS = {
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "cameraHeight": (0.0, math.inf),
    "cameraDepth": (0.0, math.inf),
    "detectionDistance": (0.0, math.inf),
}
"""Lowest and highest value of numbers with a fraction: degrees and metres."""
WHOLE_NUMBERS = {
    "coordinateUncertainty": (1, math.inf),
    "cameraDelay": (0, math.inf),
    "cameraTilt": (-90, 90),
    "cameraHeading": (0, 360),
}
"""Of whole numbers: metres, seconds and degrees."""
FLAGS = frozenset({"timestampIssues", "baitUse"})
FEATURE_TYPES = frozenset(
    {
        *("roadPaved", "roadDirt", "trailHiking", "trailGame", "roadUnderpass", "roadOverpass", "roadBridge"),
        *("culvert", "burrow", "nestSite", "carcass", "waterSource", "fruitingTree"),
    }
)
