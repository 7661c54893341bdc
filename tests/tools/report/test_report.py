"""The contents of the report's page, without a browser and without storage."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from datetime import date, datetime, timedelta
from html.parser import HTMLParser
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.results.record import Status
from tests.storage.samples import review
from tests.tools.report.reports import NOON, outcome, outcomes, page_about
from tools.report.charts import periods
from tools.report.gallery import MAX_IMAGES, MAX_THUMBNAIL_BYTES, Gallery
from tools.report.sampling import EvenSample, by_label
from tools.report.summary import MAX_EXAMPLES, Summary, percentile
from tools.report.text import display_text, duration, percentage
from tools.report.thumbnails import MissingThumbnail, size_within

MAX_PAGE_BYTES = 30_000_000
HOSTILE = {
    "a tag": "<img src=x onerror=alert(1)>.jpg",
    "the end of a script": "</script><script>alert(1)</script>.jpg",
    "a comment": "<!--<script>.jpg",
    "an attribute's end": "\" onmouseover='alert(1)' x=\".jpg",
    "an entity": "&lt;b&gt;&#x3c;.jpg",
    "line separators": "a\u2028b\u2029c.jpg",
    "turned direction": "photo\u202egpj.exe",
    "control characters": "a\x00b\x1bc\x7f.jpg",
    "a template's placeholder": "{{ 7 * 7 }}{% raw %}{# $data.jpg",
    "very long": "x" * 1000 + ".jpg",
}


class Reader(HTMLParser):
    """Parses a page.

    Attributes:
        tags: Every start tag with its attributes, in order.
        raw: ``style`` and ``script`` elements with their contents, in order.
        text: All text outside of those.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self._texts: list[str] = []
        self._raw_tag = ""
        self.feed(page)
        self.text = "".join(self._texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in self.CDATA_CONTENT_ELEMENTS:
            self._raw_tag = tag
            self.raw.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == self._raw_tag:
            self._raw_tag = ""

    def handle_data(self, data: str) -> None:
        if self._raw_tag:
            self.raw[-1] = (self._raw_tag, self.raw[-1][1] + data)
        else:
            self._texts.append(data)

    @property
    def gallery(self) -> dict[str, Any]:
        return dict(json.loads(self.raw[1][1]))


@pytest.fixture(scope="module")
def plain() -> Reader:
    return Reader(page_about(outcomes(60)))


def everywhere(text: str) -> str:
    """A page with one text in every place for text from outside."""
    good = outcome(text, label=text, format=text, model=text, model_version=text)
    bad = outcome(text, status=Status.REJECTED, reason=text, detail=text, model=text, model_version=text)
    found = (review("other", reviewed_by=text), review(text, reviewed_by=f"{text} "))
    return page_about([good, bad], filters=(f"label {text}",), container=text, reviews=lambda _: found)


def elements(page: Reader) -> list[tuple[str, set[str]]]:
    return [(tag, set(attributes)) for tag, attributes in page.tags]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_displayed_and_adds_nothing_to_the_page(text: str) -> None:
    harmless, hostile = Reader(everywhere("harmless")), Reader(everywhere(text))
    assert elements(hostile) == elements(harmless)
    assert [kind for kind, _ in hostile.raw] == ["style", "script", "script"]
    assert hostile.raw[0] == harmless.raw[0]
    assert hostile.raw[2] == harmless.raw[2]
    assert display_text(text) in hostile.text
    assert display_text(text) in {image[0] for image in hostile.gallery["images"]}
    assert {char for char in hostile.text if not char.isprintable()} <= {"\n"}


@given(st.text())
def test_any_name_survives_the_json_block_and_cannot_end_it(name: str) -> None:
    block = Gallery([outcome(name)]).json([b""])
    assert json.loads(block)["images"][0][0] == display_text(name)
    assert block.isascii()
    assert not set("<>&'") & set(block)


@given(st.text(min_size=1))
def test_any_text_is_displayed_and_adds_nothing_to_the_page(text: str) -> None:
    page = Reader(everywhere(text))
    assert elements(page) == elements(Reader(everywhere("harmless")))
    assert display_text(text) in page.text


def test_long_text_keeps_its_ends() -> None:
    text = display_text("folder/" + "x" * 1000 + "/photo.jpg", 40)
    assert len(text) == 40
    assert text.startswith("folder/x")
    assert text.endswith("/photo.jpg")


def test_the_page_refers_to_no_other_address(plain: Reader) -> None:
    addresses = [
        value
        for tag, attributes in plain.tags
        for name, value in attributes.items()
        if name in {"src", "href", "action", "srcset", "data", "poster", "background", "formaction", "ping"}
        and tag != "link"
    ]
    assert addresses
    assert {str(address)[0] for address in addresses} == {"#"}
    assert [attributes["href"] for tag, attributes in plain.tags if tag == "link"] == ["data:,"]
    style = plain.raw[0][1]
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(
        r"https?:|//[a-z]|fetch\(|XMLHttp|WebSocket|innerHTML|eval\(", plain.raw[2][1].replace("// ", "")
    )


def test_the_policy_allows_exactly_our_own_style_and_script(plain: Reader) -> None:
    metas = [attributes for tag, attributes in plain.tags if tag == "meta"]
    (policy,) = [meta["content"] for meta in metas if meta.get("http-equiv") == "Content-Security-Policy"]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for _, text in plain.raw]
    assert str(policy).split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{hashes[0]}'",
        f"script-src 'sha256-{hashes[2]}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert not [name for _, attributes in plain.tags for name in attributes if name == "style" or name.startswith("on")]


def test_the_page_has_landmarks_headings_and_text_for_every_chart(plain: Reader) -> None:
    tags = Counter(tag for tag, _ in plain.tags)
    assert (tags["header"], tags["nav"], tags["main"], tags["h1"]) == (1, 1, 1, 1)
    assert plain.tags[0] == ("html", {"lang": "en"})
    ids = {attributes.get("id") for _, attributes in plain.tags}
    for tag, attributes in plain.tags:
        if tag == "section":
            assert attributes["aria-labelledby"] in ids
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or (attributes["role"] == "img" and attributes["aria-label"])
        if tag == "a" and str(attributes["href"]) != "#":
            assert str(attributes["href"]).removeprefix("#") in ids
    assert tags["figure"] == plain.text.count("The numbers")  # each chart has its numbers as a table


def test_the_page_contains_totals_labels_and_reasons(plain: Reader) -> None:
    assert "60 images in incoming" in plain.text
    page = Reader(page_about([*outcomes(6), outcome("broken.jpg", status=Status.FAILED, detail="Storage was away.")]))
    assert "7 images in incoming" in page.text
    assert "Failed: 1 image" in page.text
    assert "Storage was away." in page.text
    assert [attributes["data-label"] for tag, attributes in page.tags if "data-label" in attributes] == [
        "badger",
        "empty",
        "fox",
        "hare",
        "roe deer",
        "wild boar",
    ]


def test_a_report_without_images_is_a_page() -> None:
    page = Reader(page_about([], filters=("label yeti",)))
    assert "0 images in incoming" in page.text
    assert "Only label yeti." in page.text
    assert page.gallery["images"] == []


def test_a_report_with_only_problems_is_a_page() -> None:
    page = Reader(page_about([outcome("a.jpg", status=Status.REJECTED, queue_delay_ms=None, duration_ms=None)]))
    assert "No image was classified" in page.text
    assert "No image has a measured time." in page.text


def test_the_gallery_contains_every_column_of_an_image() -> None:
    page = Reader(page_about(outcomes(12)[7:8], lambda _: b"RIFF"))
    gallery = page.gallery
    image = dict(zip(gallery["columns"], gallery["images"][0], strict=True))
    top = image.pop("predictions")
    assert [gallery["labels"][top[0]], top[1], gallery["labels"][top[2]], top[3]] == [
        "roe deer",
        0.5833,
        "other",
        0.2083,
    ]
    when = int((NOON - timedelta(days=7)).timestamp())
    numbers = {
        "score": 0.5833,
        "classified_at": when,
        "width": 640,
        "height": 480,
        "format": 0,
        "queue_delay_ms": 1200,
        "duration_ms": 40,
        "decoded_fraction": None,
    }
    assert image == {"name": "site-0/IMG_00007.jpg", "label": 0, **numbers, "thumbnail": "UklGRg=="}


def test_damaged_pictures_are_counted_and_marked() -> None:
    damaged = [outcome(f"{at}.jpg", damaged=True, decoded_fraction=0.4375) for at in range(2)]
    page = Reader(page_about([*damaged, outcome("whole.jpg")]))
    assert "2 classified by a part of the picture" in page.text
    at = page.gallery["columns"].index("decoded_fraction")
    assert sorted(str(image[at]) for image in page.gallery["images"]) == ["0.4375", "0.4375", "None"]
    assert "Damaged" not in Reader(page_about([outcome("whole.jpg")])).text


def test_an_image_without_a_thumbnail_has_a_reason() -> None:
    page = Reader(page_about(outcomes(2), lambda _: MissingThumbnail.CHANGED))
    assert [image[-1] for image in page.gallery["images"]] == ["changed", "changed"]
    assert not any(set(reason) - set("abcdefghijklmnopqrstuvwxyz") for reason in MissingThumbnail)


def test_ten_thousand_images_with_the_worst_names_stay_within_thirty_megabytes() -> None:
    """Names whose characters need six bytes in JSON, the largest thumbnails, and as many problems as the page lists."""
    name, each = "\u5fc3" * 900, size_within(MAX_THUMBNAIL_BYTES, MAX_IMAGES).max_bytes
    good = (outcome(f"{at}{name}", label=f"{at % 500}{name}") for at in range(MAX_IMAGES + 500))
    reasons = [f"{number}{name}" for number in range(60)]
    bad = (
        outcome(f"{at}{name}", status=Status.REJECTED, reason=reason, detail="&" * 5000)
        for reason in reasons
        for at in range(MAX_EXAMPLES)
    )
    picture = Random(0).randbytes(each)
    page = page_about([*good, *bad], lambda _: picture)
    assert len(page.encode()) < MAX_PAGE_BYTES
    read = Reader(page)
    images = len(read.gallery["images"])
    assert 1000 < images < MAX_IMAGES
    assert f"A sample: {images:,} of {MAX_IMAGES + 500:,} classified images" in read.text


def test_the_gallery_contains_ten_thousand_ordinary_images() -> None:
    picture = Random(0).randbytes(size_within(MAX_THUMBNAIL_BYTES, MAX_IMAGES).max_bytes)
    page = page_about(outcomes(MAX_IMAGES), lambda _: picture)
    assert len(Reader(page).gallery["images"]) == MAX_IMAGES
    assert "A sample" not in page
    assert len(page.encode()) < MAX_PAGE_BYTES


def test_a_sample_keeps_rare_labels_whole_and_common_ones_evenly() -> None:
    sample = EvenSample(100, by_label)
    for label, images in (("common", 5000), ("also common", 3000), ("rare", 7)):
        for at in range(images):
            sample.add(outcome(f"{label}/{at}.jpg", label=label))
    counts = Counter(record.label for record in sample.records())
    assert counts["rare"] == 7
    assert sorted(counts.values()) == [7, 46, 47]


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 20), st.randoms(use_true_random=False))
def test_a_sample_does_not_depend_on_the_order_of_arrival_within_a_label(
    labels: list[int], most: int, random: Random
) -> None:
    """A label keeps its lowest ranks, so an image's chance does not depend on its time of arrival."""
    records = [outcome(f"{at}.jpg", label=str(label)) for at, label in enumerate(labels)]
    sample = EvenSample(most, by_label)
    for record in records:
        sample.add(record)
    kept = Counter(record.label for record in sample.records())
    assert kept.total() == min(most, len(records))
    alone = {
        label: [record.blob_name for record in _only(label, records).records()][:number]
        for label, number in kept.items()
    }
    for label, names in alone.items():
        assert [record.blob_name for record in sample.records() if record.label == label] == names


def _only(label: str | None, records: list[Any]) -> EvenSample[str]:
    everything = EvenSample(len(records), by_label)
    for record in records:
        if record.label == label:
            everything.add(record)
    return everything


def test_a_sample_accepts_the_same_image_twice() -> None:
    sample = EvenSample(1, by_label)
    sample.add(outcome("a.jpg"))
    sample.add(outcome("a.jpg"))
    assert len(sample.records()) == 1


def test_scores_are_counted_by_bins_and_one_is_in_the_last() -> None:
    summary = Summary()
    for score in (0.0, 0.049, 0.05, 0.999, 1.0):
        summary.add(outcome("a.jpg", score=score))
    assert (summary.scores[0], summary.scores[1], summary.scores[-1]) == (2, 1, 2)
    assert sum(summary.scores) == 5


def test_days_are_utc_days() -> None:
    summary = Summary()
    summary.add(outcome("a.jpg", classified_at=datetime.fromisoformat("2026-11-20T23:30:00-02:00")))
    assert summary.days == {date(2026, 11, 21): (1, 0)}


def test_the_first_problems_of_a_reason_are_listed_and_all_are_counted() -> None:
    page = Reader(page_about(outcome(f"{at}.jpg", status=Status.REJECTED) for at in range(MAX_EXAMPLES + 5)))
    assert f"The first {MAX_EXAMPLES} of {MAX_EXAMPLES + 5} are listed." in page.text


@pytest.mark.parametrize(
    ("share_", "value"), [(0.5, 5), (0.9, 9), (0.99, 10), (1.0, 10), (0.01, 1)], ids=["half", "90", "99", "all", "one"]
)
def test_percentiles_are_values_that_occurred(share_: float, value: int) -> None:
    assert percentile(range(1, 11), share_) == value


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        *[(0, "0 ms"), (999, "999 ms"), (1000, "1 s"), (1449, "1.4 s"), (90_000, "1.5 min"), (3_600_000, "1 h")],
        *[(5 * 3_600_000 + 360_000, "5.1 h"), (12 * 86_400_000, "12 d")],
    ],
)
def test_durations_have_few_digits(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text


@pytest.mark.parametrize("milliseconds", [-5, 0, 86_400_000, 2**62], ids=["negative", "none", "a day", "for ever"])
def test_any_duration_has_a_bar(milliseconds: int) -> None:
    page = Reader(page_about([outcome("a.jpg", queue_delay_ms=milliseconds)]))
    assert "half of 1 image within" in page.text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "0 %"), (5, 5, "100 %"), (1, 100_000, "0.1 %"), (99_999, 100_000, "99.9 %"), (1, 3, "33 %")],
)
def test_a_percentage_is_0_or_100_only_when_exact(part: int, whole: int, text: str) -> None:
    assert percentage(part, whole) == text


@pytest.mark.parametrize(
    ("days", "unit", "bars"), [(1, "day", 1), (92, "day", 92), (93, "week", 14), (800, "month", 27)]
)
def test_a_long_period_is_drawn_by_week_or_month_without_gaps(days: int, unit: str, bars: int) -> None:
    first = date(2026, 1, 1)
    drawn_unit, drawn = periods({first: (3, 1), first + timedelta(days=days - 1): (1, 0)})
    assert (drawn_unit, len(drawn)) == (unit, bars)
    assert sum(bar.images for bar in drawn) == (5 if days > 1 else 1)
