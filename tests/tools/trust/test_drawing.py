"""``python -m tools trust draw`` on Azurite: from the page of a random sample to the statements about it."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image as Pillow

from storage.pipeline.classify_blob import classify_blob
from storage.results.record import Image
from tests.storage.samples import FixedClassifier
from tools.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

    from tools.account import Account

LABELS = {"fox": 12, "owl": 3}


@pytest.fixture
def photos(account: Account) -> Account:
    """Classified photos of two labels, all with the score 0.75."""
    file = io.BytesIO()
    Pillow.new("RGB", (32, 24), "olive").save(file, "JPEG")
    container = account.settings.incoming_container
    blobs = account.clients.blobs.get_container_client(container)
    for label, count in LABELS.items():
        for number in range(count):
            blobs.upload_blob(f"{label}/{number}.jpg", file.getvalue())
            classify_blob(account.stores, FixedClassifier(label), Image(container, f"{label}/{number}.jpg"))
    return account


def drawn(path: Path, *options: str, code: int = 0) -> list[dict[str, Any]]:
    """Draw, and read from the page what it holds of each photo."""
    assert main(["trust", "draw", "-o", str(path), "--json", *options]) == code
    return [json.loads(text) for text in re.findall(r'class="about"[^>]*>(.*?)</script>', path.read_text("utf-8"))]


def corrections(path: Path, photos: list[dict[str, Any]]) -> Path:
    """The file that the page saves when each label is confirmed."""
    data = re.search(r'id="data"[^>]*>(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    assert data is not None
    reviews = [
        {
            **{name: each[name] for name in ("blob_name", "etag", "score", "model", "model_version")},
            "label": each["choices"][0][0],
            "reviewed_label": each["choices"][0][0],
            "at": "2026-11-29T12:00:00Z",
        }
        for each in photos
    ]
    document = {**json.loads(data[1])["corrections"], "reviews": reviews}
    saved = path.with_suffix(".json")
    saved.write_text(json.dumps(document))
    return saved


def test_a_sample_is_drawn_reviewed_and_extended(
    photos: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "review.html"
    first = drawn(page, "--per-label", "4")
    assert sorted(each["choices"][0][0] for each in first) == ["fox"] * 4 + ["owl"] * 3
    file = corrections(page, first)
    document = json.loads(file.read_text())
    assert document["sample"] == "random"
    assert {(each["label"], each["rows"], each["shown"]) for each in document["strata"]} == {
        ("fox", 12, 4),
        ("owl", 3, 3),
    }
    assert main(["review", "import", str(file), "--by", "Ana"]) == 0

    more = drawn(page, "--per-label", "6")
    assert len(more) == 2
    assert not {each["blob_name"] for each in first} & {each["blob_name"] for each in more}
    assert main(["review", "import", str(corrections(page, more)), "--by", "Ben"]) == 0

    capsys.readouterr()
    assert main(["trust", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sample"] == {"random": 9, "chosen": 0, "outdated": 0}
    owl = next(each for each in found["labels"] if each["label"] == "owl")
    assert (owl["reviewed"], owl["precision"]["low"]) == (3, 1)


def test_one_label_can_be_drawn_and_another_seed_draws_others(photos: Account, tmp_path: Path) -> None:
    names = [
        {each["blob_name"] for each in drawn(tmp_path / "page.html", "--label", "fox", "--per-label", "6", *seed)}
        for seed in ([], ["--seed", "1"], ["--seed", "2"])
    ]
    assert names[0] == names[1] != names[2]
    assert all(name.startswith("fox/") for each in names for name in each)


def test_a_sample_too_large_for_a_page_is_refused(
    photos: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.trust.drawing.MAX_PHOTOS", 10)
    path = tmp_path / "page.html"
    assert main(["trust", "draw", "-o", str(path)]) == 2
    assert "The sample has 15 photos, but a page holds at most 10" in capsys.readouterr().err
    assert not path.exists()


def test_nothing_to_draw_is_reported(
    empty_account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drawn(tmp_path / "page.html") == []
    assert "has no rows" in capsys.readouterr().err
    assert main(["trust", "draw", "--model", "other", "-o", str(tmp_path / "page.html")]) == 0
