"""The review page for all people and names: keyboard alone, phone, light and dark, screen reader, hostile names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inference.predictions import Prediction
from tests.tools.report.accessibility import LOW_CONTRAST, NAMELESS
from tests.tools.report.reports import outcome
from tests.tools.review.pages import COUNT, SHOWN, saved, write_page

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.report.browser import Page

EVIL = "</script><img src=x onerror=\"document.title='owned'\"><b>&amp;\u2028\u202egpj.exe\u0000"


def test_tab_reaches_every_control_in_order(page: Page) -> None:
    page.press("1")
    reached = []
    for _ in range(10):
        reached.append(page.value("document.activeElement.id || document.activeElement.dataset.label"))
        page.press("Tab")
    labels = ("fox", "badger", "Mäusebussard", "empty")
    assert reached == ["stage", *labels, "query", "unsure", "back", "forward", "undo"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 740)], ids=["desktop", "phone"])
def test_text_is_readable_controls_are_named_and_nothing_is_cut_off(
    page: Page, tmp_path: Path, width: int, height: int, *, dark: bool
) -> None:
    page.open(tmp_path / "review.html", width=width, height=height, dark=dark)
    page.press("2")
    page.press("ArrowLeft")
    count, faint = page.value(LOW_CONTRAST)
    assert count > 10
    assert faint == []
    assert page.value(NAMELESS) == []
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value("document.documentElement.lang") == "en"


def test_a_phone_shows_photo_labels_and_buttons_at_once(page: Page, tmp_path: Path) -> None:
    page.send("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        page.open(tmp_path / "review.html", width=360, height=740)
        boxes = page.value(
            "[...document.querySelectorAll('#picture, #main button, #query')].map((each) =>"
            " { const box = each.getBoundingClientRect(); return [box.top, box.bottom, box.height]; })"
        )
        assert all(top >= 0 and bottom <= 740 and height >= 44 for top, bottom, height in boxes)
        page.tap("#choices li:nth-child(3) button")
        page.tap("#unsure")
        assert page.value(COUNT) == "2 of 12 reviewed"
        page.tap("#undo")
        assert page.value(SHOWN) == "site/0001.jpg"
    finally:
        page.send("Emulation.setTouchEmulationEnabled", enabled=False)


def test_hostile_names_are_shown_as_text_and_saved_unchanged(browser: Page, tmp_path: Path) -> None:
    long = "\u05d7" * 1000 + ".jpg"
    records = [
        outcome(EVIL, label=EVIL, score=0.1, predictions=(Prediction(EVIL, 0, 0.1), Prediction("x" * 900, 1, 0.05))),
        outcome(long, label="constructor", score=0.2, etag='"0x</script>"'),
    ]
    path = write_page(tmp_path / "evil.html", records)
    browser.requests.clear()
    browser.messages.clear()
    browser.open(path)
    assert "\\u202e" in browser.value(SHOWN)
    assert "\u202e" not in browser.value("document.body.innerText")
    browser.press("/")
    browser.type("<img src=x onerror=\"document.title='owned'\">")
    browser.press("Enter")
    browser.press("Enter")
    browser.press("Home")
    browser.press("1")
    assert browser.value("document.title") == "Review of incoming"
    assert browser.value("document.querySelectorAll('img, b').length") == 1  # the photo
    assert browser.value("document.documentElement.scrollWidth") <= 1280
    reviews = saved(browser, tmp_path)["reviews"]
    assert [(each["blob_name"], each["reviewed_label"], each["etag"]) for each in reviews] == [
        (EVIL, EVIL, "0x1"),
        (long, "constructor", '"0x</script>"'),
    ]
    assert browser.requests == [path.as_uri()]
    assert browser.messages == []
    policy = browser.value("document.querySelector('meta[http-equiv]').content")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
