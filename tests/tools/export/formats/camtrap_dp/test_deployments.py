"""The user's ``deployments.csv``: which folder belongs to which row, and every cell that cannot stand."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from inference.errors import ConfigurationError
from tools.export.formats.camtrap_dp.deployments import Deployments, read_deployments

if TYPE_CHECKING:
    from pathlib import Path


def deployments(folder: Path, text: str) -> Deployments:
    path = folder / "deployments.csv"
    path.write_text(text, encoding="utf-8")
    return Deployments(read_deployments(path, UTC)[0], UTC)


def test_the_longest_folder_above_an_image_counts(tmp_path: Path) -> None:
    lines = ["folder,deploymentID", "site-1,one", "site-1/b/,two", "/site-1/b/c,three", "site-1\\d,one"]
    found = deployments(tmp_path, "\n".join(lines))
    names = ["site-1/x.jpg", "site-1/a/x.jpg", "site-1/b/x.jpg", "site-1/b/c/d/x.jpg", "site-1/d/x.jpg"]
    assert [found.of(name).identifier for name in names] == ["one", "one", "two", "three", "one"]
    for name in ("site-10/x.jpg", "x.jpg"):
        with pytest.raises(ConfigurationError, match="No row of --deployments covers the folder"):
            found.of(name)
    assert deployments(tmp_path, "folder,deploymentID\n,all").of("any/where/x.jpg").identifier == "all"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_files_of_spreadsheet_programs_are_read(separator: str, tmp_path: Path) -> None:
    header = separator.join(["folder", "deploymentID", "latitude", "longitude", "baitUse", "note", "deploymentStart"])
    row = separator.join(["a", '"one, two;"', "50.7", "4", "TRUE", "x", "2026-05-01"])
    path = tmp_path / "deployments.csv"
    path.write_bytes(f"\ufeff{header}\r\n{row}\r\n".encode())
    by_folder, others = read_deployments(path, UTC)
    assert others == ["note"]
    found = by_folder["a"].row()
    assert {name: cell for name, cell in found.items() if cell} == {
        "deploymentID": "one, two;",
        "latitude": "50.7",
        "longitude": "4.0",
        "baitUse": "true",
        "deploymentStart": "2026-05-01T00:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("column", "cell", "sentence"),
    [
        ("latitude", "north", "line 2: latitude must be a number from -90.0 to 90.0, not 'north'"),
        ("latitude", "91", "latitude must be"),
        ("longitude", "nan0", "longitude must be"),
        ("cameraHeight", "1e999", "cameraHeight must be"),
        ("cameraTilt", "1.5", "cameraTilt must be a whole number from -90 to 90"),
        ("baitUse", "yes", "baitUse must be true or false"),
        ("featureType", "tree", "featureType must be one of burrow"),
        ("deploymentStart", "May", "deploymentStart must be a time such as"),
        ("timezone", "Europe", "'Europe' is no time zone"),
        ("timezone", "../etc/passwd", "is no time zone"),
        ("timezone", "+25:00", "is no time zone"),
        ("deploymentID", "", "deploymentID is missing"),
    ],
)
def test_a_cell_that_cannot_stand_is_named(column: str, cell: str, sentence: str, tmp_path: Path) -> None:
    cells = {"folder": "a", "deploymentID": "one"} | {column: cell}
    with pytest.raises(ConfigurationError, match=sentence):
        deployments(tmp_path, f"{','.join(cells)}\n{','.join(cells.values())}\n")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("deploymentID\none", "folder is missing"),
        ("folder,deploymentID,habitat\na,one,wood\nb,one,field", "one has another row with other values"),
        ("folder,deploymentID\na,one\na/,two", "line 3: the folder a belongs to another deployment"),
        ('folder,deploymentID\na,"one', "cannot be read"),
    ],
)
def test_rows_that_contradict_each_other_are_named(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        deployments(tmp_path, text)


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--deployments .*none.csv cannot be read: No such file"):
        read_deployments(tmp_path / "none.csv", UTC)
    (tmp_path / "image.csv").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_deployments(tmp_path / "image.csv", UTC)


def test_a_time_without_a_zone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deployments.csv"
    path.write_text("folder,deploymentID,deploymentStart\na,one,2026-05-01")
    with pytest.raises(ConfigurationError, match="deploymentStart 2026-05-01 has no time zone"):
        read_deployments(path, None)


def test_a_zone_of_a_row_counts_before_the_general_one(tmp_path: Path) -> None:
    found = deployments(tmp_path, "folder,deploymentID,timezone\na,one,Europe/Brussels\nb,two,UTC-03:30\nc,three,")
    times = [found.of(f"{folder}/x.jpg").time_of("2026-07-01T12:00:00").isoformat() for folder in "abc"]
    assert times == ["2026-07-01T12:00:00+02:00", "2026-07-01T12:00:00-03:30", "2026-07-01T12:00:00+00:00"]
