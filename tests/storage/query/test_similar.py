"""Groups of equal content and similar pictures, from rows of any kind."""

from __future__ import annotations

from storage.query.similar import groups_of_equal_content, similar_pictures
from tests.storage.samples import record

CAT, DOG, FOX = "a" * 32, "b" * 32, "c" * 32


def test_rows_of_equal_content_form_a_group_by_name() -> None:
    rows = [
        record("2.jpg", content_md5=CAT),
        record("x.jpg", content_md5=FOX),
        record("9.jpg", content_md5=DOG),
        record("old.jpg"),
        record("older.jpg"),
        record("edited.jpg", content_md5="no hash"),
        record("8.jpg", content_md5=DOG),
        record("1.jpg", content_md5=CAT),
    ]
    groups = [[row.blob_name for row in group] for group in groups_of_equal_content(lambda: rows)]
    assert groups == [["1.jpg", "2.jpg"], ["8.jpg", "9.jpg"]]


def test_a_group_that_has_changed_meanwhile_is_left_out() -> None:
    readings = [
        [record("1.jpg", content_md5=CAT), record("2.jpg", content_md5=CAT)],
        [record("1.jpg", content_md5=CAT)],
    ]
    assert list(groups_of_equal_content(lambda: readings.pop(0))) == []


def test_pictures_within_a_distance_come_nearest_first() -> None:
    rows = [
        record("three.jpg", phash="8000000000000007"),
        record("b same.jpg", phash="8" + "0" * 15),
        record("four.jpg", phash="800000000000000f"),
        record("a same.jpg", phash="8" + "0" * 15),
        record("none.jpg"),
        record("edited.jpg", phash="-1"),
        record("long.jpg", phash="8" + "0" * 20),
    ]
    found = similar_pictures(rows, "8" + "0" * 15, 3)
    assert [(row.blob_name, distance) for row, distance in found] == [
        ("a same.jpg", 0),
        ("b same.jpg", 0),
        ("three.jpg", 3),
    ]
