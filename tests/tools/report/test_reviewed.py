"""The report's section of reviews: its numbers, counted again in another way, and its pictures."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from storage.reviews.join import ReviewedRow
from tests.storage.samples import NOON, review
from tests.tools.report.reports import outcome, page_about
from tools.__main__ import main
from tools.report import reviewed
from tools.report.reviewed import ReviewSums
from tools.report.thumbnails import MissingThumbnail

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from storage.results.record import Record
    from storage.reviews.review import Review
    from tools.account import Account

LABELS = st.sampled_from(("fox", "hare", None))


@given(st.lists(st.tuples(LABELS, st.floats(0, 1), st.lists(LABELS, max_size=3)), max_size=30))
def test_the_numbers_are_those_of_the_newest_reviews(images: list[tuple[str | None, float, list[str | None]]]) -> None:
    sums = ReviewSums()
    for number, (label, score, given_labels) in enumerate(images):
        reviews = tuple(review(each, reviewed_by=str(place)) for place, each in enumerate(given_labels))
        sums.add(ReviewedRow(outcome(str(number), label=label, score=None if label is None else score), reviews))
    seen = [(label, found) for label, _, found in images if found]
    assert sums.reviewed == len(seen)
    assert sums.unsure == sum(found[0] is None for _, found in seen)
    assert sums.agreed == sum(found[0] == label for label, found in seen if found[0])
    assert sums.corrected == sum(found[0] != label for label, found in seen if found[0])
    assert sums.disputed == sum({"fox", "hare"} <= set(found) for _, found in seen)
    corrections = Counter((label or "", found[0]) for label, found in seen if found[0] and found[0] != label)
    assert {(each.label, each.reviewed_label): each.images for each in sums.pairs} == corrections
    scores = [row.record.score or 0.0 for row in sums.differing]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == sums.differing_images


def test_of_many_differing_images_the_surest_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewed, "MAX_EXAMPLES", 3)
    sums = ReviewSums()
    for number in (4, 1, 5, 3, 2):
        sums.add(ReviewedRow(outcome(str(number), score=number / 10), (review("hare"),)))
    assert [row.record.blob_name for row in sums.differing] == ["5", "4", "3"]
    assert sums.differing_images == 5


def reviews_of(record: Record) -> tuple[Review, ...]:
    return (review("hare", reviewed_by="Ana"),) if record.blob_name != "c.jpg" else ()


def test_the_page_shows_differing_images_with_their_pictures() -> None:
    records = [outcome(name) for name in ("a.jpg", "b.jpg", "c.jpg")]
    page = page_about(
        records,
        lambda record: MissingThumbnail.DELETED if record.blob_name == "b.jpg" else b"RIFF",
        reviews=reviews_of,
    )
    section = page[page.index('<section id="reviewed"') : page.index('<section id="problems"')]
    assert "2 images reviewed" in section
    assert section.count("data:image/webp;base64,UklGRg==") == 1
    assert "<span>deleted</span>" in section
    assert "c.jpg" not in section
    assert '<section id="reviewed"' not in page_about(records)


def test_the_links_at_the_top_are_in_the_order_of_the_sections() -> None:
    page = page_about([outcome(name) for name in ("a.jpg", "b.jpg")], reviews=reviews_of)
    navigation, _, content = page[page.index("<nav") :].partition("</nav>")
    links = re.findall(r'href="#([a-z]+)"', navigation)
    assert links == re.findall(r'<section id="([a-z]+)"', content)
    assert {"reviewed", "weeks"} <= set(links)


def test_the_command_joins_the_imported_reviews(
    empty_account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.storage.samples import record, write_results

    container = empty_account.settings.incoming_container
    write_results(empty_account.stores.results, *(record(name, container=container) for name in ("a.jpg", "b.jpg")))
    entry = {"blob_name": "a.jpg", "etag": "0x8DE1", "label": "cat", "reviewed_label": "lynx", "at": NOON.isoformat()}
    corrections = tmp_path / "corrections.json"
    corrections.write_text(json.dumps({"version": 1, "container": container, "reviews": [entry]}))
    assert main(["review", "import", str(corrections), "--by", "Ana"]) == 0
    target = tmp_path / "report.html"
    for options, images in (((), "2 images in"), (("--disagree",), "1 image in")):
        assert main(["report", "-o", str(target), *options]) == 0
        page = target.read_text(encoding="utf-8")
        assert images in page
        assert "1 image reviewed" in page
        assert "lynx" in page
    capsys.readouterr()
