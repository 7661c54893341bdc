"""``python -m tools review make`` on Azurite."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import pytest
from PIL import Image as Pillow

from inference.errors import PermanentError, Reason
from storage.pipeline.classify_blob import classify_blob
from storage.results.record import Image
from tests.storage.samples import AWKWARD_NAMES, FixedClassifier
from tests.tools.review.pages import SHOWN, read, saved
from tools.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.report.browser import Page
    from tools.account import Account


def photo(size: tuple[int, int] = (320, 240), orientation: int = 1) -> bytes:
    """Red above blue, as a camera held upright saw it."""
    image = Pillow.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0], size[1] // 2))
    turned = image.transpose(Pillow.Transpose.ROTATE_90) if orientation == 6 else image
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[1] = "N"
    file = io.BytesIO()
    turned.save(file, "JPEG", exif=exif)
    return file.getvalue()


def classified(
    account: Account, name: str, label: str = "cat", content: bytes | None = None, error: Exception | None = None
) -> None:
    container = account.settings.incoming_container
    account.clients.blobs.get_blob_client(container, name).upload_blob(content or photo(), overwrite=True)
    classify_blob(account.stores, FixedClassifier(label, error=error), Image(container, name))


def test_the_page_holds_each_photo_upright_and_counts_those_that_are_left_out(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classified(account, "plain.jpg", content=photo((3000, 2000)))
    classified(account, "turned.jpg", content=photo((300, 400), orientation=6))
    classified(account, "letter.jpg", content=b"Dear Sir or Madam")
    classified(account, "empty.jpg", error=PermanentError(Reason.EMPTY, "The file has no content."))
    for name in ("gone.jpg", "changed.jpg"):
        classified(account, name)
    blobs = account.clients.blobs.get_container_client(account.settings.incoming_container)
    blobs.delete_blob("gone.jpg")
    blobs.upload_blob("changed.jpg", photo((20, 20)), overwrite=True)
    path = tmp_path / "review.html"

    assert main(["review", "make", "--json", "--seed", "7", "-o", str(path)]) == 0

    output = capsys.readouterr()
    summary = json.loads(output.out)
    assert summary.pop("seconds") > 0
    assert summary == {
        "event": "summary",
        "format": "html",
        "path": str(path),
        "sample": "random",
        "seed": 7,
        "rows": 5,
        "photos": 2,
        "left_out": {"deleted": 1, "changed": 1, "undecodable": 1},
        "bytes": path.stat().st_size,
    }
    data, photos = read(path)
    assert data["corrections"]["strata"][0] == {
        "label": None,
        "score_from": None,
        "score_to": None,
        "rows": 5,
        "drawn": 5,
        "shown": 2,
    }
    assert photos.keys() == {"plain.jpg", "turned.jpg"}
    assert {name: image.size for name, (_, image) in photos.items()} == {
        "plain.jpg": (1024, 683),
        "turned.jpg": (300, 400),
    }
    upright = photos["turned.jpg"][1].convert("RGB")
    assert upright.getpixel((150, 50))[0] > 200  # type: ignore[index]
    assert upright.getpixel((150, 350))[2] > 200  # type: ignore[index]
    about, image = photos["plain.jpg"]
    assert not {"exif", "icc_profile", "xmp"} & set(image.info)
    assert about["choices"] == [["cat", "cat", 0.75]]
    assert about["etag"] == blobs.get_blob_client("plain.jpg").get_blob_properties().etag.strip('"')
    assert list(tmp_path.iterdir()) == [path]


def test_a_filter_makes_the_sample_chosen_and_per_label_takes_some_of_each(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for at in range(4):
        classified(account, f"a/cat{at}.jpg")
        classified(account, f"a/dog{at}.jpg", "dog")
    classified(account, "b/hen.jpg", "hen")
    path = tmp_path / "review.html"

    def made(*options: str) -> tuple[str, set[str]]:
        assert main(["review", "make", "-o", str(path), "--pixels", "64", *options]) == 0
        data, photos = read(path)
        assert ("strata" in data["corrections"]) == (data["corrections"]["sample"] == "random")
        return data["corrections"]["sample"], {name[:5] for name in photos}

    assert made("--label", "dog") == ("chosen", {"a/dog"})
    assert made("--folder", "b") == ("chosen", {"b/hen"})
    assert made("--since", "1h")[0] == "chosen"
    assert made("--unreviewed") == ("chosen", {"a/cat", "a/dog", "b/hen"})
    assert made("--status", "classified") == ("random", {"a/cat", "a/dog", "b/hen"})
    assert made("--per-label", "2") == ("random", {"a/cat", "a/dog", "b/hen"})
    data, photos = read(path)
    assert len(photos) == 5
    assert [(each["label"], each["rows"], each["shown"]) for each in data["corrections"]["strata"]] == [
        *(("cat", 4, 2), ("dog", 4, 2), ("hen", 1, 1)),
    ]
    assert [label for label, _ in data["labels"]] == ["cat", "dog", "hen"]
    assert capsys.readouterr().err.count("leaves fewer") == 0
    made("--per-label", "2", "--limit", "4")
    assert "--per-label 2 asks for 5 photos: --limit 4 leaves fewer." in capsys.readouterr().err


def test_awkward_names_are_on_the_page_and_in_the_tasks_unchanged(account: Account, tmp_path: Path) -> None:
    for name in AWKWARD_NAMES.values():
        classified(account, name)
    page, tasks = tmp_path / "review.html", tmp_path / "tasks.json"
    assert main(["review", "make", "--pixels", "64", "-o", str(page)]) == 0
    assert main(["review", "make", "--format", "label-studio", "-o", str(tasks)]) == 0
    assert read(page)[1].keys() == set(AWKWARD_NAMES.values())
    read_tasks = json.loads(tasks.read_text(encoding="utf-8"))
    assert {task["data"]["blob_name"] for task in read_tasks} == {
        name for name in AWKWARD_NAMES.values() if "?" not in name
    }
    for task in read_tasks:
        # As Label Studio's AzureBlobImportStorage takes a link apart.
        link = urlparse(task["data"]["image"], allow_fragments=False)
        assert link.scheme == "azure-blob"
        assert link.netloc == account.settings.incoming_container
        assert link.path[1:] == task["data"]["blob_name"]


def test_a_task_holds_the_prediction_in_label_studios_form_and_comes_back(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classified(account, "a.jpg")
    path = tmp_path / "tasks.json"
    assert main(["review", "make", "--format", "label-studio", "--label", "cat", "-o", str(path)]) == 0
    (task,) = json.loads(path.read_text(encoding="utf-8"))
    (prediction,) = task["predictions"]
    assert prediction["score"] == 0.75
    assert prediction["result"] == [
        {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": ["cat"]}}
    ]
    container = account.settings.incoming_container
    etag = account.clients.blobs.get_blob_client(container, "a.jpg").get_blob_properties().etag.strip('"')
    assert task["data"] == {
        "image": f"azure-blob://{container}/a.jpg",
        "container": container,
        "blob_name": "a.jpg",
        "etag": etag,
        "label": "cat",
        "sample": "chosen",
        "labels": [{"value": "cat"}],
    }


def test_the_models_labels_are_offered_where_a_row_is_its_answer(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from inference.classifier import load

    container, path = account.settings.incoming_container, tmp_path / "review.html"
    classified(account, "other.jpg")
    assert main(["review", "make", "-o", str(path)]) == 0
    assert [label for label, _ in read(path)[0]["labels"]] == ["cat"]
    account.clients.blobs.get_blob_client(container, "shape.jpg").upload_blob(photo())
    classify_blob(account.stores, load("models/shapes", top_k=1), Image(container, "shape.jpg"))
    assert main(["review", "make", "-o", str(path)]) == 0
    assert {"cat", "ball", "star"} < {label for label, _ in read(path)[0]["labels"]}
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "no model"))
    assert main(["review", "make", "-o", str(path)]) == 0
    assert re.search(r"The labels of .*no model are left out: .* does not exist\.", capsys.readouterr().err)


def test_answers_given_in_a_browser_reach_the_query(
    account: Account, browser: Page, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for at, name in enumerate(("a b/<1>.jpg", "a b/2.jpg", "3.jpg", "4.jpg")):
        classified(account, name, content=photo((40 + at, 40)))
    path = tmp_path / "review.html"
    assert main(["review", "make", "-o", str(path)]) == 0
    browser.open(path)
    expected = {}
    for label in ("cat", "wildcat", None):
        expected[browser.value(SHOWN)] = label
        browser.press({"cat": "1", "wildcat": "/", None: "u"}[label])
        if label == "wildcat":
            browser.type(label)
            browser.press("Enter")
    (tmp_path / "made.json").write_text(json.dumps(saved(browser, tmp_path)))
    assert main(["review", "import", str(tmp_path / "made.json"), "--by", "Ana"]) == 0
    capsys.readouterr()
    assert main(["query", "--reviewed", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["blob_name"]: row["reviewed_label"] for row in rows} == expected
    assert {row["reviewed_by"] for row in rows} == {"Ana"}
    assert main(["review", "make", "--disagree", "-o", str(path)]) == 0
    data, photos = read(path)
    assert data["corrections"]["sample"] == "chosen"
    assert photos.keys() == {name for name, label in expected.items() if label == "wildcat"}


def test_an_empty_account_is_a_page_and_nothing_is_created(account: Account, tmp_path: Path) -> None:
    path = tmp_path / "review.html"
    assert main(["review", "make", "-o", str(path)]) == 0
    assert read(path)[1] == {}
    assert account.settings.results_table not in {table.name for table in account.clients.tables.list_tables()}


def test_a_run_that_fails_leaves_the_old_page_as_it_was(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "review.html"
    path.write_text("yesterday's")
    monkeypatch.setenv("RESULTS_CONTAINER", "No Such Name")
    assert main(["review", "make", "-o", str(path)]) == 2
    assert path.read_text() == "yesterday's"
    assert list(tmp_path.iterdir()) == [path]


def test_photos_that_storage_refuses_are_counted_and_the_exit_code_tells(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from inference.errors import TransientError
    from storage.blobs import SourceBlobs

    classified(account, "a.jpg")

    def refuse(*_: object, **__: object) -> None:
        raise TransientError("Reading a.jpg failed (503 ServerBusy).")

    monkeypatch.setattr(SourceBlobs, "read", refuse)
    assert main(["review", "make", "-o", str(tmp_path / "review.html")]) == 1
    assert "0 photos, 1 left out (1 unreachable)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--pixels", "63"], ["--limit", "0"], ["--seed", "-1"], ["--per-label", "many"], ["--limit", "5001"]]
)
def test_misuse_is_one_sentence(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["review", "make", "-o", str(tmp_path / "review.html"), *options])
    except SystemExit as stop:
        code = stop.code  # type: ignore[assignment]
    assert code == 2
    assert options[1].lstrip("-") in capsys.readouterr().err.splitlines()[-1].replace(",", "")
    assert list(tmp_path.iterdir()) == []
