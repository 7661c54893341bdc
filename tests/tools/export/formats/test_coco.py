"""The COCO file's parts fit each other."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import TYPE_CHECKING

from storage.reviews.join import ReviewedRow
from tests.storage.samples import AWKWARD_NAMES, record, rejected
from tools.export.formats.coco import write

if TYPE_CHECKING:
    from pathlib import Path


def test_an_image_has_its_label_on_the_full_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    taken_at = "2026-05-01T06:30:00"
    labels = ["zebra", 'say "cheese"\n', "ant"]
    names = list(AWKWARD_NAMES.values())
    records = [
        record(name, label=labels[number % 3], width=number + 1, taken_at=taken_at) for number, name in enumerate(names)
    ]
    rows = map(ReviewedRow, [*records, rejected(), record("unmeasured.jpg", width=None)])
    numbers = write(rows, path, attrgetter("label"))
    assert numbers == {"images": len(names), "categories": 3, "left_out": 2}
    document = json.loads(path.read_bytes())
    assert [category["name"] for category in document["categories"]] == sorted(labels)
    category_names = {category["id"]: category["name"] for category in document["categories"]}
    images = {image["id"]: image for image in document["images"]}
    assert len(images) == len(names)
    found = {}
    for annotation in document["annotations"]:
        image = images[annotation["image_id"]]
        assert image["date_captured"] == taken_at
        assert annotation["bbox"] == [0, 0, image["width"], image["height"]]
        assert annotation["area"] == image["width"] * image["height"]
        found[image["file_name"]] = (category_names[annotation["category_id"]], annotation["score"], image["width"])
    assert found == {each.blob_name: (each.label, each.score, each.width) for each in records}


def test_no_row_is_a_valid_document(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write([], path, attrgetter("label"))
    document = json.loads(path.read_bytes())
    assert (document["images"], document["annotations"], document["categories"]) == ([], [], [])
