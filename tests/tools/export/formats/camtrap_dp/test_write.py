"""A package is valid for frictionless with the published schemas, and its tables fit each other and the rows."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import ConfigurationError
from inference.predictions import Prediction
from storage.query.events import DEFAULT_GAP, EventSorter
from storage.reviews.join import ReviewedRow
from tests.storage.samples import AWKWARD_NAMES, record, rejected, review
from tests.tools.export.formats.camtrap_dp.published import problems
from tools.export.formats.camtrap_dp.write import CONTENTS, PackageOptions, write
from tools.export.label_types import label_types

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from storage.results.record import Record

PLACE = {"latitude": 50.7, "longitude": 4.25}
PLUS_ONE = timezone(timedelta(hours=1))


def photo(name: str, taken_at: str | None = "2026-05-01T12:00:00", **changes: Any) -> Record:
    return record(name, **{"taken_at": taken_at, "camera_serial": "SN 1", **PLACE} | changes)


def package(folder: Path, records: Sequence[Record | ReviewedRow], **options: Any) -> dict[str, Any]:
    """Write a package, validate it, and return its files by name with the numbers and reports of the run."""
    path = folder / "package"
    path.mkdir(exist_ok=True)
    reports: list[str] = []
    given_options = {"zone": PLUS_ONE, "template": folder / "package-deployments.csv", **options}
    chosen = PackageOptions(
        container="incoming", gap=DEFAULT_GAP, type_of=label_types(None), report=reports.append, **given_options
    )
    numbers = write([each if isinstance(each, ReviewedRow) else ReviewedRow(each) for each in records], path, chosen)
    assert sorted(each.name for each in path.iterdir()) == sorted(CONTENTS)
    assert problems(path) == []
    tables = {name: table(path / f"{name}.csv") for name in ("deployments", "media", "observations")}
    document = json.loads((path / "datapackage.json").read_text(encoding="utf-8"))
    return {**tables, "document": document, "numbers": numbers, "reports": reports}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_an_event_is_one_observation_beside_those_of_its_photos(tmp_path: Path) -> None:
    predictions = (Prediction("fox", 0, 0.25), Prediction("cat", 1, 0.5))
    found = package(
        tmp_path,
        [
            photo("a/2.jpg", "2026-05-02T00:00:10.750", label="fox", score=0.5, predictions=predictions[:1]),
            photo("a/1.jpg", "2026-05-01T23:59:30", label="cat", score=0.5, predictions=predictions),
            rejected("a/3.jpg", reason="truncated", taken_at="2026-05-02T00:00:40+02:00", camera_serial="SN 1"),
            photo("a/none.jpg", None),
        ],
    )
    assert found["numbers"] == {"deployments": 1, "media": 3, "events": 1, "observations": 4, "left_out": 1}
    with EventSorter() as sorter:
        for each in (photo("a/1.jpg", "2026-05-01T23:59:30"), photo("a/2.jpg", "2026-05-02T00:00:10.750")):
            sorter.add(each, "")
        ((event, _),) = sorter.events()
    of_event = [each for each in found["observations"] if each["observationLevel"] == "event"]
    assert [{name: cell for name, cell in each.items() if cell} for each in of_event] == [
        {
            "observationID": f"{event.event_id}-event",
            "deploymentID": "a",
            "eventID": event.event_id,
            "eventStart": "2026-05-01T23:59:30+01:00",
            "eventEnd": "2026-05-02T00:00:40+02:00",
            "observationLevel": "event",
            "observationType": "animal",
            "scientificName": "cat",
            "classificationMethod": "machine",
            "classifiedBy": "shapes 0123456789ab",
            "classificationTimestamp": "2026-11-20T12:00:00+00:00",
            "classificationProbability": "0.25",
            "observationTags": "label:cat",
        }
    ]
    media = {each["mediaID"]: each["fileName"] for each in found["media"]}
    assert [
        (media[each["mediaID"]], each["observationType"], each["scientificName"], each["classificationProbability"])
        for each in found["observations"]
        if each["observationLevel"] == "media"
    ] == [("1.jpg", "animal", "cat", "0.5"), ("2.jpg", "animal", "fox", "0.5"), ("3.jpg", "unclassified", "", "")]
    assert [(each["timestamp"], each["mediaComments"]) for each in found["media"]] == [
        ("2026-05-01T23:59:30+01:00", ""),
        ("2026-05-02T00:00:10+01:00", ""),
        ("2026-05-02T00:00:40+02:00", "truncated: These bytes are no image."),
    ]
    assert {each["eventID"] for each in found["observations"]} == {event.event_id}


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("observations.csv", ",animal,", ",beast,"),
        ("media.csv", "T12:00:00+01:00", "T12:00:00"),
        ("media.csv", ",incoming/", ",../incoming/"),
        ("deployments.csv", "50.7", "150.7"),
        ("deployments.csv", "\r\na,", "\r\nb,"),
        ("datapackage.json", "opportunistic", "random"),
    ],
)
def test_the_validator_finds_faults(file: str, before: str, after: str, tmp_path: Path) -> None:
    """So that the silence of ``problems`` in the other tests has a meaning."""
    package(tmp_path, [photo("a/1.jpg")])
    path = tmp_path / "package" / file
    text = path.read_bytes().decode()
    path.write_bytes(text.replace(before, after).encode())
    assert path.read_bytes().decode() != text
    assert problems(tmp_path / "package") != []


def test_types_of_labels_are_types_of_observations(tmp_path: Path) -> None:
    labels = {"fox": "animal", "person": "human", "car": "vehicle", "empty": "blank", "unknown": "unknown"}
    rows = [
        photo(f"{number}.jpg", f"2026-05-01T1{number}:00:00", label=label, predictions=(Prediction(label, 0, 0.5),))
        for number, label in enumerate(labels)
    ]
    found = package(tmp_path, rows)
    pairs = Counter((each["observationTags"], each["observationType"]) for each in found["observations"])
    assert pairs == {(f"label:{label}", kind): 2 for label, kind in labels.items()}
    assert found["document"]["taxonomic"] == [{"scientificName": "fox"}]
    assert found["deployments"][0]["deploymentID"] == "folder (top)"


def test_a_review_takes_the_place_of_the_model(tmp_path: Path) -> None:
    reviewed = ReviewedRow(photo("a/1.jpg"), (review("dog"),))
    unsure = ReviewedRow(photo("a/2.jpg", "2026-05-01T13:00:00"), (review(None),))
    of_rejected = ReviewedRow(
        rejected("a/3.jpg", taken_at="2026-05-01T14:00:00", camera_serial="SN 1"), (review("empty"),)
    )
    first = ReviewedRow(photo("a/4.jpg", "2026-05-01T15:00:01"))
    second = ReviewedRow(photo("a/5.jpg", "2026-05-01T15:00:02"), (review(),))
    found = package(tmp_path, [reviewed, unsure, of_rejected, first, second])
    columns = ("observationType", "scientificName", "classificationMethod", "classifiedBy", "classificationProbability")
    machine = ("animal", "cat", "machine", "shapes 0123456789ab", "0.875")
    by_level = {
        level: [
            tuple(each[name] for name in columns) for each in found["observations"] if each["observationLevel"] == level
        ]
        for level in ("media", "event")
    }
    dog = ("animal", "dog", "human", "Ana", "")
    blank = ("blank", "", "human", "Ana", "")
    assert by_level["media"] == [dog, machine, blank, machine, dog]
    assert by_level["event"] == [dog, machine, blank, ("animal", "dog", "machine", "shapes 0123456789ab", "0.5625")]


def test_the_user_s_taxa_and_project_replace_the_defaults(tmp_path: Path) -> None:
    taxon = {"scientificName": "Vulpes vulpes", "taxonRank": "species", "vernacularNames": {"eng": "Red fox"}}
    metadata = tmp_path / "metadata.json"
    contributors = [{"title": "A. Author", "role": "contact"}]
    project = {"title": "Foxes", "samplingDesign": "targeted"}
    metadata.write_text(json.dumps({"taxonomic": [taxon], "contributors": contributors, "project": project}))
    found = package(tmp_path, [photo("a/1.jpg", label="red fox", predictions=())], metadata=metadata)
    assert {each["scientificName"] for each in found["observations"]} == {"Vulpes vulpes"}
    assert found["document"]["taxonomic"] == [taxon]
    assert found["document"]["contributors"] == contributors
    assert found["document"]["project"] | project == found["document"]["project"]
    assert len(found["reports"]) == 1
    assert len(package(tmp_path, [photo("a/1.jpg")])["reports"]) == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"coordinatePrecision": NaN}', "NaN is no JSON"),
        ("[]", "must hold a JSON object"),
        ('{"contributors": []}', "contributors must be a list of objects, each with title"),
        ('{"contributors": {"title": "a"}}', "contributors must be a list"),
        ('{"taxonomic": [{"scientificName": 1}]}', "taxonomic must be a list of objects, each with scientificName"),
        ('{"project": []}', "project must be an object"),
    ],
)
def test_metadata_of_another_form_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    metadata = tmp_path / "metadata.json"
    metadata.write_text(text)
    with pytest.raises(ConfigurationError, match=sentence):
        package(tmp_path, [photo("a")], metadata=metadata)


def test_public_images_have_addresses(tmp_path: Path) -> None:
    found = package(tmp_path, [photo("site a/#1.jpg")], media_url="https://example.org/photos/")
    assert [(each["filePath"], each["filePublic"]) for each in found["media"]] == [
        ("https://example.org/photos/site%20a/%231.jpg", "true")
    ]


def test_no_time_zone_is_invented(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"deployment a state no time zone.*--timezone"):
        package(tmp_path, [photo("a/1.jpg")], zone=None)
    found = package(tmp_path, [photo("a/1.jpg", "2026-05-01T12:00:00-03:00")], zone=None)
    assert found["media"][0]["timestamp"] == "2026-05-01T12:00:00-03:00"


def test_no_coordinate_is_invented_and_a_file_to_fill_in_is_written(tmp_path: Path) -> None:
    rows = [photo("a b/1.jpg", latitude=None), photo("c/2.jpg", latitude=None), photo("d/3.jpg")]
    with pytest.raises(
        ConfigurationError, match=r"those of a b, c are unknown.*package-deployments.csv, and give that file"
    ):
        package(tmp_path, rows)
    template = tmp_path / "package-deployments.csv"
    filled = template.read_text(encoding="utf-8").replace("a b,,,,,", "a b,,,52.5,13.25,")
    assert template.read_text(encoding="utf-8") != filled
    template.write_text(filled, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"those of c are unknown.*in --deployments"):
        package(tmp_path, rows, deployments=template, zone=None)
    assert template.read_text(encoding="utf-8") == filled
    found = package(tmp_path, [rows[0], rows[2]], deployments=without_line(template, 2), zone=None)
    assert [(each["deploymentID"], each["latitude"]) for each in found["deployments"]] == [
        ("a b", "52.5"),
        ("d", "50.7"),
    ]
    spatial = found["document"]["spatial"]
    assert spatial["type"] == "Polygon"
    assert {*map(tuple, spatial["coordinates"][0])} == {(4.25, 50.7), (4.25, 52.5), (13.25, 50.7), (13.25, 52.5)}


def test_the_file_to_fill_in_is_safe_in_a_spreadsheet_and_comes_back(tmp_path: Path) -> None:
    """Its folders are names of uploads: one may begin like a formula, or hold a character that ends lines elsewhere."""
    folders = ["=cmd|' -C calc'!A0", "@a", "'quoted", "line\u2028separator\x0cfeed", 'a "b", c', " spaces around "]
    rows = [photo(f"{folder}/1.jpg", latitude=None) for folder in folders]
    with pytest.raises(ConfigurationError, match="fill in latitude"):
        package(tmp_path, rows)
    template = tmp_path / "package-deployments.csv"
    lines = table(template)
    assert not [cell for line in lines for cell in line.values() if cell.startswith(("=", "@"))]
    with template.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows({**line, "latitude": "52.5", "longitude": "13.25"} for line in lines)
    found = package(tmp_path, rows, deployments=template)
    assert {each["deploymentID"] for each in found["deployments"]} == {folder.strip() for folder in folders}


def without_line(path: Path, number: int) -> Path:
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:number], *lines[number + 1 :]]), encoding="utf-8")
    return path


def test_no_photo_with_a_time_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No selected image has a capture time"):
        package(tmp_path, [photo("a/1.jpg", None)])


def test_an_event_in_two_deployments_is_an_observation_in_each(tmp_path: Path) -> None:
    found = package(tmp_path, [photo("a/1.jpg"), photo("b/2.jpg", "2026-05-01T12:00:30")])
    of_event = [each for each in found["observations"] if each["observationLevel"] == "event"]
    assert [each["deploymentID"] for each in of_event] == ["a", "b"]
    assert len({each["eventID"] for each in of_event}) == 1


def test_a_sum_of_scores_above_one_is_a_probability(tmp_path: Path) -> None:
    found = package(tmp_path, [photo("a/1.jpg", score=1.0000001, decision_version="1")])
    assert {each["classificationProbability"] for each in found["observations"]} == {"1.0"}


def test_a_folder_whose_name_stands_for_no_value_is_a_deployment(tmp_path: Path) -> None:
    assert package(tmp_path, [photo("NA/1.jpg")])["deployments"][0]["deploymentID"] == "folder NA"


def test_a_row_that_comes_twice_is_one_image(tmp_path: Path) -> None:
    assert package(tmp_path, [photo("a/1.jpg"), photo("a/1.jpg")])["numbers"]["media"] == 1


FOLDERS = st.sampled_from(["", "NA/", "nan/", "a/b/", "/", "../", ".", "~", "=cmd/", "a\u2028b/", '"/', "a\nb/"])
NAMES = st.one_of(st.sampled_from(list(AWKWARD_NAMES.values())), st.text(min_size=1))
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(datetime.isoformat)  # noqa: DTZ001 - as cameras
ROWS = st.builds(
    photo,
    st.builds(lambda folder, name: f"{folder}{name}", FOLDERS, NAMES),
    TIMES,
    label=st.text(),
    score=st.floats(0, 1),
    format=st.sampled_from(["jpeg", "mpo", "heif", None]),
    camera_serial=st.sampled_from(["SN 1", None]),
    predictions=st.lists(st.builds(Prediction, st.text(), st.just(0), st.floats(0, 1)), max_size=2).map(tuple),
)


@settings(max_examples=15)
@given(st.lists(ROWS, min_size=1, max_size=5, unique_by=lambda each: each.blob_name))
def test_any_names_and_labels_give_a_valid_package(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record]
) -> None:
    found = package(tmp_path_factory.getbasetemp(), records, zone=UTC)
    assert found["numbers"]["media"] == len(records)
