"""The file follows the published format: the rules of lila.science/megadetector-output-format, written again here.

MegaDetector's own validator, which needs OpenCV and scikit-learn to be imported, accepted such files by hand
(docs/exports.md).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from inference.predictions import Prediction
from storage.reviews.join import ReviewedRow
from tests.storage.samples import AWKWARD_NAMES, record, rejected, review
from tools.export.formats.megadetector import write
from tools.export.label_types import LabelType, label_types

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from storage.results.record import Record

UNIT = {"type": "number", "minimum": 0, "maximum": 1}
CATEGORIES = {
    "type": "object",
    "additionalProperties": {"type": "string", "pattern": r"\S"},
    "propertyNames": {"pattern": "^[0-9]+$"},
}
DETECTION = {
    "type": "object",
    "required": ["category", "conf", "bbox"],
    "properties": {
        "category": {"enum": ["1", "2", "3", "4"]},
        "conf": UNIT,
        "bbox": {"type": "array", "items": UNIT, "minItems": 4, "maxItems": 4},
        "classifications": {"type": "array", "items": {"prefixItems": [{"pattern": "^[0-9]+$"}, UNIT], "minItems": 2}},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["info", "detection_categories", "images"],
    "additionalProperties": False,
    "properties": {
        "info": {"required": ["format_version"], "properties": {"format_version": {"const": "1.6"}}},
        "detection_categories": CATEGORIES,
        "classification_categories": CATEGORIES,
        "images": {
            "items": {
                "required": ["file", "detections"],
                "properties": {"file": {"type": "string"}, "failure": {"type": "string"}},
                "if": {"required": ["failure"]},
                "then": {"properties": {"detections": {"const": None}}},
                "else": {"properties": {"detections": {"type": "array", "items": DETECTION}}},
            }
        },
    },
}


def written(records: list[Record], folder: Path, *given_types: tuple[str, LabelType]) -> dict[str, Any]:
    path = folder / "a.json"
    write(map(ReviewedRow, records), path, label_types(given_types))
    document: dict[str, Any] = json.loads(path.read_bytes())
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    for image in document["images"]:
        for detection in image["detections"] or ():
            pairs = detection["classifications"]
            assert {number for number, _ in pairs} <= document["classification_categories"].keys()
            assert sorted(pairs, key=lambda pair: -pair[1]) == pairs
        if re.search(r"\.(mp4|mov)$", image["file"], re.IGNORECASE):
            assert image["frame_rate"] > 0
            assert all("frame_number" in detection for detection in image["detections"] or ())
    return document


def test_a_label_is_a_detection_of_the_full_frame(tmp_path: Path) -> None:
    document = written([record("site a/1.jpg", taken_at="2026-05-01T06:30:00.500+02:00")], tmp_path)
    (image,) = document["images"]
    assert image == {
        "file": "site a/1.jpg",
        "detections": [
            {
                "category": "1",
                "conf": 0.875,
                "bbox": [0, 0, 1, 1],
                "classifications": image["detections"][0]["classifications"],
            }
        ],
        "width": 4000,
        "height": 3000,
        "datetime": "2026:05:01 06:30:00",
    }
    names = document["classification_categories"]
    assert [(names[number], score) for number, score in image["detections"][0]["classifications"]] == [
        ("cat", 0.875),
        ("dog", 0.125),
    ]
    assert document["info"]["classifier"] == "shapes 0123456789ab"
    assert document["info"]["classification_completion_time"] == "2026-11-20 12:00:00"


def test_rejected_and_failed_images_are_failures(tmp_path: Path) -> None:
    (image,) = written([rejected("trap.MP4")], tmp_path)["images"]
    assert image["failure"] == "not_an_image: These bytes are no image."
    assert written([rejected("a", reason=None, detail=None)], tmp_path)["images"][0]["failure"] == "rejected"


def test_types_of_labels_are_categories_and_blank_is_no_detection(tmp_path: Path) -> None:
    labels = ["fox", "Person", "car", "empty", "unknown", "drone", "no_animal", "fox!"]
    given_types = (("drone", LabelType.VEHICLE), ("fox!", LabelType.BLANK))
    document = written([record(label, label=label) for label in labels], tmp_path, *given_types)
    categories = document["detection_categories"]
    found = {
        image["file"]: [categories[each["category"]] for each in image["detections"]] for image in document["images"]
    }
    assert found == {
        "fox": ["animal"],
        "Person": ["person"],
        "car": ["vehicle"],
        "empty": [],
        "unknown": ["unknown"],
        "drone": ["vehicle"],
        "no_animal": [],
        "fox!": [],
    }


def test_a_blank_name_gets_one(tmp_path: Path) -> None:
    document = written([record(label=" ", predictions=())], tmp_path)
    assert document["classification_categories"] == {"0": "unnamed"}


def test_a_decision_stands_alone(tmp_path: Path) -> None:
    document = written([record(label="mammal", decision_version="1")], tmp_path)
    assert document["classification_categories"] == {"0": "mammal"}
    assert document["images"][0]["detections"][0]["classifications"] == [["0", 0.875]]


def test_a_reviewer_s_label_takes_the_place_of_the_model_s(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    rows = [ReviewedRow(record(), (review("dog"),)), ReviewedRow(record(), (review(None),))]
    write([*rows, ReviewedRow(rejected(), (review("empty"),))], path, label_types(()))
    document = json.loads(path.read_bytes())
    names = document["classification_categories"]
    labels = [
        [(names[number], score) for each in image["detections"] for number, score in each["classifications"]]
        for image in document["images"]
    ]
    assert labels == [[("dog", 1)], [("cat", 0.875), ("dog", 0.125)], []]
    assert document["images"][0]["detections"][0]["conf"] == 1


def test_no_row_is_a_valid_file(tmp_path: Path) -> None:
    assert written([], tmp_path)["images"] == []


@given(
    st.lists(
        st.builds(
            record,
            st.one_of(st.sampled_from([*AWKWARD_NAMES.values(), "a.mov"]), st.text(min_size=1)),
            label=st.text(),
            score=st.floats(0, 1),
            predictions=st.lists(st.builds(Prediction, st.text(), st.just(0), st.floats(0, 1)), max_size=3).map(tuple),
        ),
        max_size=5,
    )
)
def test_any_names_and_labels_give_a_valid_file(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record]
) -> None:
    document = written(records, tmp_path_factory.getbasetemp())
    assert [image["file"] for image in document["images"]] == [each.blob_name for each in records]
