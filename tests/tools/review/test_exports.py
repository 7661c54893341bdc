"""Exports carry the reviewers' labels, from a real import to files that other programs read."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.storage.samples import NOON
from tests.tools.review.conftest import review
from tools.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.review.conftest import Importing

LABELS = {"agreed.jpg": "cat", "corrected.jpg": "fox", "unsure.jpg": None}


@pytest.fixture
def reviewed(importing: Importing) -> Importing:
    """Three reviewed cats, one more whose review is of an earlier upload, and one without any."""
    importing.rows(*LABELS, "again.jpg", "unseen.jpg")
    importing.run(*(review(*each) for each in LABELS.items()), review("again.jpg", "fox", etag="0xEARLIER"))
    return importing


def export(target: Path, *options: str) -> Path:
    assert main(["export", "-o", str(target), *options]) == 0
    return target


def labels_of(path: Path) -> dict[str, Any]:
    """By file, the name of the category of its only annotation."""
    document = json.loads(path.read_bytes())
    names = {each["id"]: each["name"] for each in document["categories"]}
    images = {each["id"]: each["file_name"] for each in document["images"]}
    return {images[each["image_id"]]: (names[each["category_id"]], each["score"]) for each in document["annotations"]}


@pytest.mark.usefixtures("reviewed")
def test_tables_have_the_columns_of_the_newest_review(tmp_path: Path) -> None:
    path = export(tmp_path / "a.csv", "--format", "csv", "--reviewed")
    with path.open(newline="") as file:
        rows = {row["blob_name"]: row for row in csv.DictReader(file)}
    assert {name: row["reviewed_label"] or None for name, row in rows.items()} == LABELS
    assert {(row["label"], row["reviewed_by"], row["reviewed_at"]) for row in rows.values()} == {
        ("cat", "Ana", "2026-11-20T12:00:00.250000+00:00")
    }


@pytest.mark.usefixtures("reviewed")
def test_training_sets_have_the_reviewers_labels(tmp_path: Path) -> None:
    everything = labels_of(export(tmp_path / "all.json", "--format", "coco"))
    assert everything == {
        "agreed.jpg": ("cat", 0.875),
        "corrected.jpg": ("fox", None),
        "unsure.jpg": ("cat", 0.875),
        "again.jpg": ("cat", 0.875),
        "unseen.jpg": ("cat", 0.875),
    }
    checked = labels_of(export(tmp_path / "checked.json", "--format", "coco", "--reviewed"))
    assert {name: label for name, (label, _) in checked.items()} == {"agreed.jpg": "cat", "corrected.jpg": "fox"}
    lists = export(tmp_path / "lists", "--format", "imagefolder", "--list", "--reviewed")
    assert {path.name: path.read_text() for path in lists.iterdir()} == {
        "cat.txt": "agreed.jpg\n",
        "fox.txt": "corrected.jpg\n",
    }


def test_parquet_by_day_takes_in_new_reviews_of_old_rows(importing: Importing, tmp_path: Path) -> None:
    importing.rows("old.jpg", "other.jpg", classified_at=NOON.replace(year=2025))
    importing.rows("new.jpg")
    options = ("--format", "parquet", "--since-last")
    folder = export(tmp_path / "days", *options)
    importing.run(review("old.jpg", "fox"), review("new.jpg", "cat"))
    export(folder, *options)
    with duckdb.connect() as database:
        question = f"SELECT blob_name, reviewed_label, reviewed_by FROM read_parquet('{folder}/*.parquet') ORDER BY 1"
        assert database.execute(question).fetchall() == [
            ("new.jpg", "cat", "Ana"),
            ("old.jpg", "fox", "Ana"),
            ("other.jpg", None, None),
        ]


def test_parquet_by_day_refuses_a_selection_by_review(
    importing: Importing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    importing.rows("cat.jpg")
    command = ["export", "--format", "parquet", "--since-last", "-o", str(tmp_path / "days"), "--disagree"]
    assert main(command) == 2
    assert "leave out --disagree" in capsys.readouterr().err
