"""Images by label, copied from Azurite, and lists of them."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from storage.pipeline.classify_blob import classify_blob
from storage.results.record import Image
from storage.reviews.join import ReviewedRow
from tests.storage.samples import AWKWARD_NAMES, MODEL, FixedClassifier, record, rejected
from tools.__main__ import main
from tools.export.formats.image_folder import file_name, write_lists

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tools.account import Account

NAMES = [*AWKWARD_NAMES.values(), "cat.JPG", "c/b.jpg", "c__b.jpg", "CON.jpg", "../../up.jpg", "n" * 400]


def classify(account: Account, name: str, label: str, content: bytes, version: str = "1") -> None:
    container = account.settings.incoming_container
    account.clients.blobs.get_blob_client(container, name).upload_blob(content, overwrite=True)
    classify_blob(account.stores, FixedClassifier(label, type(MODEL)("m", version)), Image(container, name))


def contents(folder: Path) -> dict[str, list[bytes]]:
    return {each.name: sorted(path.read_bytes() for path in each.iterdir()) for each in folder.iterdir()}


def test_a_folder_per_label_is_filled_and_continued(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "training"
    command = ["export", "--format", "imagefolder", "-o", str(target)]
    for name in NAMES:
        classify(account, name, "cat" if len(name) % 2 else "../roe/deer", name.encode())
    expected = {
        "cat": sorted(name.encode() for name in NAMES if len(name) % 2),
        "..%2Froe%2Fdeer": sorted(name.encode() for name in NAMES if not len(name) % 2),
    }
    assert main(command) == 0
    assert contents(target) == expected
    assert all(path.suffix for path in target.rglob("*") if path.is_file())
    before = {path: path.stat().st_ino for path in target.rglob("*") if path.is_file()}

    next((target / "cat").iterdir()).unlink()
    classify(account, "c/b.jpg", "dog", b"c/b.jpg", version="2")  # the same content has a new label
    classify(account, "cat.jpg", "cat", b"new content")
    assert main([*command, "--json"]) == 0
    after = contents(target)
    assert after["dog"] == [b"c/b.jpg"]
    assert sorted(after["cat"]) == sorted({*expected["cat"], b"new content"} - {b"c/b.jpg", b"cat.jpg"})
    kept = [path for path, inode in before.items() if path.exists() and path.stat().st_ino == inode]
    assert len(NAMES) - 3 <= len(kept) < len(NAMES)


def test_a_deleted_image_is_reported(account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classify(account, "here.jpg", "cat", b"here")
    classify(account, "gone.jpg", "cat", b"gone")
    account.clients.blobs.get_blob_client(account.settings.incoming_container, "gone.jpg").delete_blob()
    assert main(["export", "--format", "imagefolder", "-o", str(tmp_path / "out")]) == 1
    errors = capsys.readouterr().err
    assert "gone.jpg is gone" in errors
    assert "1 gone" in errors
    assert contents(tmp_path / "out") == {"cat": [b"here"]}


def test_the_file_name_depends_on_the_blob_alone_and_has_an_extension() -> None:
    assert (
        file_name(record("site a/2026/IMG_1.JPG"))
        == "site a__2026__IMG_1~" + file_name(record("site a/2026/IMG_1.JPG")).partition("~")[2]
    )
    assert file_name(record("site a/2026/IMG_1.JPG")).endswith(".JPG")
    assert file_name(record("IMG_0001", format="jpeg")).endswith(".jpg")
    assert file_name(record("notes.txt", format="png")).endswith(".png")
    assert file_name(record("v1.0")).endswith(".jpg")
    alike = {file_name(record(name)).casefold() for name in ("a/b.jpg", "a__b.jpg", "A/b.jpg", "a/B.JPG")}
    assert len(alike) == 4


def test_lists_hold_the_names_of_each_label(tmp_path: Path) -> None:
    reports: list[str] = []
    names = list(AWKWARD_NAMES.values())
    rows = [record(name, label="cat" if number % 2 else "a/b") for number, name in enumerate(names)]
    given = map(ReviewedRow, [*rows, rejected(), record("two\nlines.jpg")])
    numbers = write_lists(given, tmp_path, attrgetter("label"), reports.append)
    whole = {name for name in names if len(name.splitlines()) == 1}
    written = {path.name: path.read_text(encoding="utf-8").split("\n") for path in tmp_path.iterdir()}
    assert {path: set(lines) - {""} for path, lines in written.items()} == {
        "a%2Fb.txt": {row.blob_name for row in rows if row.label == "a/b"} & whole,
        "cat.txt": {row.blob_name for row in rows if row.label == "cat"} & whole,
    }
    assert numbers == {"images": len(whole), "labels": 2, "left_out": len(names) - len(whole) + 2}
    assert "two\\nlines.jpg is left out: its name is more than one line." in reports
