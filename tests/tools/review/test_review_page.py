"""The review page in a real browser: keys, mouse, search, reload and save."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from inference.predictions import Prediction
from tests.tools.report.reports import outcome
from tests.tools.review.pages import CHOICES, COUNT, FOCUS, FOUND, PRESSED, SHOWN, photos, saved, write_page

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.report.browser import Page


def test_keys_answer_each_photo_once(page: Page, tmp_path: Path) -> None:
    assert page.value(SHOWN) == "site/0000.jpg"
    assert page.value(CHOICES) == ["fox", "badger", "Mäusebussard", "empty"]
    page.press("Enter")
    page.press("2")
    announced = page.value("document.getElementById('status').textContent")
    assert announced == "badger. Photo 3 of 12: fox 0.30."
    page.press("u")
    page.press("9")  # there is no ninth label
    assert page.value(SHOWN) == "site/0003.jpg"
    page.press("ArrowRight")
    page.press("3")
    assert page.value(COUNT) == "4 of 12 reviewed"
    assert page.value("document.getElementById('progress').value") == 4
    made = saved(page, tmp_path)
    reviews = made.pop("reviews")
    assert made == {"version": 1, "container": "incoming", "sample": "chosen"}
    answers = [(each["blob_name"], each["etag"], each["label"], each["reviewed_label"]) for each in reviews]
    assert answers == [
        ("site/0000.jpg", "0x0", "fox", "fox"),
        ("site/0001.jpg", "0x1", "fox", "badger"),
        ("site/0002.jpg", "0x2", "fox", None),
        ("site/0004.jpg", "0x4", "fox", "Mäusebussard"),
    ]
    assert reviews[0]["score"] == 0.3
    assert reviews[0]["model_version"] == "0123456789ab"
    assert all(datetime.fromisoformat(each["at"]).tzinfo for each in reviews)
    assert page.messages == []
    assert len(page.requests) == 2  # the page itself, opened twice


def test_a_random_sample_states_its_strata_and_how_it_was_drawn(browser: Page, tmp_path: Path) -> None:
    browser.open(write_page(tmp_path / "random.html", photos(3), is_random=True))
    browser.press("Enter")
    made = saved(browser, tmp_path)
    assert made["sample"] == "random"
    assert made["strata"] == [{"label": None, "score_from": None, "score_to": None, "rows": 3, "drawn": 3, "shown": 3}]
    assert made["seed"] == 0


def test_arrows_show_earlier_answers_and_enter_keeps_them(page: Page) -> None:
    page.press("2")
    page.press("ArrowLeft")
    assert page.value(SHOWN) == "site/0000.jpg"
    assert page.value(PRESSED) == ["badger"]
    page.press("Enter")
    assert page.value(SHOWN) == "site/0001.jpg"
    page.press("Home")
    assert page.value(PRESSED) == ["badger"]
    page.press("1")
    page.press("Home")
    assert page.value(PRESSED) == ["fox"]
    page.press("End")
    assert page.value(SHOWN) == "site/0011.jpg"
    page.press("ArrowRight")
    assert page.value(SHOWN) == "site/0011.jpg"


def test_undo_goes_back_answer_by_answer(page: Page) -> None:
    for key in ("1", "2", "u"):
        page.press(key)
    assert page.value("document.getElementById('undo').textContent").endswith("Undo: Unsure")
    page.press("z")
    assert page.value(SHOWN) == "site/0002.jpg"
    assert page.value(PRESSED) == []
    page.press("z")
    assert page.value(SHOWN) == "site/0001.jpg"
    assert page.value(COUNT) == "1 of 12 reviewed"
    page.press("z")
    page.press("z")
    assert page.value(COUNT) == "0 of 12 reviewed"
    assert page.value("document.getElementById('save').disabled")


def test_the_search_finds_a_label_by_any_part_and_takes_a_new_one(page: Page, tmp_path: Path) -> None:
    page.press("/")
    assert page.value(FOCUS) == "query"
    page.type("mause")
    assert page.value(FOUND) == ["Mäusebussard", "New label: mause"]
    page.press("Enter")
    assert page.value(SHOWN) == "site/0001.jpg"
    assert page.value(FOCUS) == "stage"
    page.click("#query")
    page.type("wolverine")
    page.click("#found li")
    page.press("/")
    page.type("e")
    page.press("ArrowDown")
    second = page.value(FOUND)[1]
    assert page.value("document.getElementById('query').getAttribute('aria-activedescendant')") == "option-1"
    page.press("Escape")
    assert page.value(FOCUS) == "stage"
    assert page.value(SHOWN) == "site/0002.jpg"
    page.press("/")
    page.type("e")
    page.press("ArrowDown")
    page.press("Enter")
    page.press("Home")
    page.press("ArrowRight")
    assert page.value(PRESSED) == ["wolverine"]
    reviews = saved(page, tmp_path)["reviews"]
    assert [each["reviewed_label"] for each in reviews] == ["Mäusebussard", "wolverine", second]


def test_nothing_is_lost_when_the_tab_closes(page: Page, tmp_path: Path) -> None:
    page.press("2")
    page.press("u")
    page.press("ArrowRight")
    page.open(tmp_path / "review.html")
    assert page.value(COUNT) == "2 of 12 reviewed"
    assert page.value(SHOWN) == "site/0003.jpg"
    page.press("z")
    assert page.value(SHOWN) == "site/0001.jpg"
    other = write_page(tmp_path / "other.html", photos(11))
    page.open(other)
    assert page.value(COUNT) == "0 of 11 reviewed"


def test_two_tabs_show_the_same_answers(page: Page) -> None:
    page.press("2")
    other = json.dumps(
        {"log": [[0, "badger", "2026-11-29T12:00:00Z"], [1, None, "2026-11-29T12:00:01Z"]], "current": 2}
    )
    page.value(f"localStorage.setItem(storageKey, {json.dumps(other)})")
    page.value(
        "dispatchEvent(new StorageEvent('storage', {key: storageKey}))"
    )  # which a browser sends to the other tabs
    assert page.value(COUNT) == "2 of 12 reviewed"
    page.press("Enter")
    assert len(page.value("JSON.parse(localStorage.getItem(storageKey)).log")) == 3


def test_a_browser_that_keeps_nothing_asks_before_answers_are_lost(page: Page, tmp_path: Path) -> None:
    refuse = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('', 'SecurityError'); }})"
    asks = (
        "(() => { const leaving = new Event('beforeunload', {cancelable: true});"
        " dispatchEvent(leaving); return leaving.defaultPrevented; })()"
    )
    script = page.send("Page.addScriptToEvaluateOnNewDocument", source=refuse)["identifier"]
    try:
        page.open(tmp_path / "review.html")
        assert "keeps no answers" in page.value("document.getElementById('notice').textContent")
        assert not page.value(asks)
        page.press("2")
        page.press("Enter")
        assert page.value(asks)
        reviews = saved(page, tmp_path)["reviews"]
        assert not page.value(asks)
    finally:
        page.send("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    assert [each["reviewed_label"] for each in reviews] == ["badger", "fox"]
    assert page.messages == []


def test_kept_answers_that_make_no_sense_are_ignored(page: Page, tmp_path: Path) -> None:
    for kept in ("{", "null", '{"log": [[99, "fox"], [0, {}], 7, null], "current": 99}', '{"log": 3}'):
        page.value(f"localStorage.setItem(storageKey, {json.dumps(kept)})")
        page.open(tmp_path / "review.html")
        assert page.value(COUNT) == "0 of 12 reviewed"
        page.press("2")
        assert page.value(COUNT) == "1 of 12 reviewed"
    assert page.messages == []


def test_the_last_answer_leads_to_the_photos_left_out_and_then_to_save(page: Page) -> None:
    page.press("ArrowRight")
    for _ in range(11):
        page.press("Enter")
    assert page.value(SHOWN) == "site/0000.jpg"
    page.press("Enter")
    assert page.value(COUNT) == "12 of 12 reviewed"
    assert page.value(FOCUS) == "save"
    assert "All photos are reviewed" in page.value("document.getElementById('status').textContent")


def test_keys_that_mean_something_else_answer_nothing(page: Page) -> None:
    for modifiers in (1, 2, 4):  # Alt, Ctrl, Meta
        page.send("Input.dispatchKeyEvent", type="rawKeyDown", key="1", code="Digit1", modifiers=modifiers)
    page.press("1")
    for _ in range(5):  # held down
        page.send("Input.dispatchKeyEvent", type="keyDown", key="1", code="Digit1", text="1", autoRepeat=True)
    assert page.value(COUNT) == "1 of 12 reviewed"
    page.value("document.getElementById('help').open = true")
    page.click("#shortcuts")
    page.press("u")
    assert page.value(COUNT) == "1 of 12 reviewed"


def test_a_clicked_button_does_not_answer_the_next_photo(page: Page) -> None:
    """After a click the button would keep the focus, and Enter would press it again."""
    page.click("#choices li:nth-child(2) button")
    page.click("#unsure")
    page.press("Enter")
    page.press("Home")
    assert page.value(PRESSED) == ["badger"]
    page.press("ArrowRight")
    assert page.value(PRESSED) == ["unsure"]
    page.press("ArrowRight")
    assert page.value(PRESSED) == ["fox"]


def test_a_click_enlarges_the_photo_where_it_is_clicked(page: Page) -> None:
    scale = "document.querySelector('#picture img').getBoundingClientRect().width / picture.clientWidth"
    page.click("#picture")
    assert page.value(scale) == 3
    assert page.value("document.querySelector('#picture img').style.transformOrigin").startswith("50% ")
    page.press("+")
    assert page.value(scale) == 1
    page.press("+")
    page.press("ArrowRight")
    assert page.value(scale) == 1


def test_unknown_is_no_label_to_choose(browser: Page, tmp_path: Path) -> None:
    """The model gave none. Accepted as the truth, it would become a class of the next training set."""
    guesses = (Prediction("fox", 0, 0.3), Prediction("hare", 1, 0.2))
    records = [
        outcome("a.jpg", label="unknown", score=0.3, predictions=guesses),
        outcome("b.jpg", label="unknown", score=0.4),
    ]
    browser.open(write_page(tmp_path / "unknown.html", records))
    assert browser.value(CHOICES) == ["fox", "hare"]
    browser.press("Enter")
    assert browser.value(CHOICES) == []
    browser.press("Enter")
    assert browser.value(COUNT) == "1 of 2 reviewed"
    browser.press("/")
    assert browser.value(FOUND) == ["fox", "hare"]
    (review,) = saved(browser, tmp_path)["reviews"]
    assert (review["label"], review["reviewed_label"], review["score"]) == ("unknown", "fox", 0.3)


def test_a_thousand_photos_decode_only_those_nearby(browser: Page, tmp_path: Path) -> None:
    browser.open(write_page(tmp_path / "large.html", photos(1_000)))
    for _ in range(10):
        browser.press("Enter")
    browser.press("End")
    browser.press("1")
    assert browser.value(SHOWN) == "site/0010.jpg"
    assert browser.value("images.size") <= 7
    assert browser.value("document.querySelectorAll('img').length") == 1


def test_a_file_that_was_cut_off_says_so(browser: Page, tmp_path: Path) -> None:
    path = write_page(tmp_path / "review.html", photos(12))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    browser.open(path)
    assert "the file is incomplete: copy it again" in browser.value("document.body.innerText")


def test_a_page_without_photos_says_so(browser: Page, tmp_path: Path) -> None:
    browser.messages.clear()
    browser.open(write_page(tmp_path / "empty.html", []))
    assert browser.value("document.body.innerText").strip().endswith("There is no photo to review.")
    assert browser.messages == []
