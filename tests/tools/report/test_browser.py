"""The report in a real browser: mouse, keyboard, scrolling, light and dark, desktop and phone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from storage.results.record import Status
from tests.programs import needed
from tests.tools.report.accessibility import LOW_CONTRAST, NAMELESS
from tests.tools.report.browser import browsing
from tests.tools.report.reports import outcome, outcomes, page_about, thumbnail
from tools.report.thumbnails import MissingThumbnail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.results.record import Record
    from tests.tools.report.browser import Page

EVIL = (
    "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\u2028\u202egpj.exe"
)
FOUND = "document.getElementById('found').textContent"
TILES = "[...document.querySelectorAll('.tile')].map((tile) => tile.title)"
HEADINGS = "[...document.querySelectorAll('#grid h3 bdi')].map((each) => each.textContent)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(needed("chromium"), tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty images of six labels, some problems, one deleted image, one damaged picture."""

    def picture(record: Record) -> bytes | MissingThumbnail:
        return (
            MissingThumbnail.DELETED
            if record.blob_name.endswith("00004.jpg")
            else thumbnail(len(record.label or "") * 31)
        )

    bad = [outcome(f"bad/{at}.jpg", status=Status.REJECTED) for at in range(3)]
    bad.append(outcome("bad/away.jpg", status=Status.FAILED, reason="storage_away", detail="Storage was away."))
    path = tmp_path_factory.mktemp("small") / "report.html"
    good = outcomes(60)
    good[9] = replace(good[9], damaged=True, decoded_fraction=0.295)
    path.write_text(page_about([*good, *bad], picture))
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten thousand images."""
    pictures = [thumbnail(hue) for hue in range(256)]
    path = tmp_path_factory.mktemp("large") / "report.html"
    path.write_text(page_about(outcomes(10_000), lambda record: pictures[hash(record.blob_name) % 256]))
    return path


@pytest.fixture
def page(browser: Page, small: Path) -> Iterator[Page]:
    """The small report, open. After each test: no requests, and no messages in the console."""
    browser.requests.clear()
    browser.messages.clear()
    browser.open(small, height=3000)
    scroll_to_pictures(browser)
    yield browser
    browser.until("true")  # lets pending messages arrive
    assert browser.requests == [small.as_uri()]
    assert browser.messages == []


def scroll_to_pictures(page: Page) -> None:
    page.value("document.getElementById('gallery').scrollIntoView({behavior: 'instant'})")
    page.until("document.querySelectorAll('.tile img').length > 3")


def choose(page: Page, element_id: str, value: Any) -> None:
    """Set the value of a select or slider, with the event that a choice by mouse causes."""
    field = f"document.getElementById('{element_id}')"
    page.value(f"{field}.value = {json.dumps(value)}; {field}.dispatchEvent(new Event('input', {{bubbles: true}}))")


def test_pictures_are_grouped_by_label_with_the_lowest_score_first(page: Page) -> None:
    assert page.value(FOUND) == "60 images."
    assert len(page.value(HEADINGS)) == 6
    scores = page.value("[...document.querySelectorAll('.tile')].slice(0, 10).map((tile) => tile.innerText.slice(-4))")
    assert scores == sorted(scores)
    assert page.value("[...document.querySelectorAll('.tile img')].every((each) => each.complete && each.naturalWidth)")


def test_an_image_without_a_thumbnail_shows_the_reason(page: Page) -> None:
    assert (
        page.value(
            "[...document.querySelectorAll('.tile')].filter((each) => each.innerText.includes('deleted')).length"
        )
        == 1
    )


def test_a_damaged_picture_has_a_mark(page: Page) -> None:
    marks = "[...document.querySelectorAll('.damage')]"
    assert page.value(f"{marks}.map((each) => each.innerText)") == ["damaged, 29 % decoded"]
    assert page.value(f"{marks}[0].closest('.tile').title").endswith("IMG_00009.jpg")
    assert page.value(
        f"""(() => {{
            const mark = {marks}[0].getBoundingClientRect();
            const picture = {marks}[0].closest('.picture').getBoundingClientRect();
            return mark.left >= picture.left && mark.right <= picture.right && mark.bottom <= picture.bottom;
        }})()"""
    )
    page.value(f"{marks}[0].closest('.tile').click()")
    details = page.value("document.getElementById('viewer-details').innerText")
    assert "29 % of the height could be decoded" in details
    page.value("document.getElementById('viewer').close()")


def test_typing_searches_names_and_labels(page: Page) -> None:
    page.click("#search")
    page.type("roe site-3")
    names = page.value(TILES)
    assert names
    assert all(name.startswith("site-3/") for name in names)
    assert page.value(HEADINGS) == ["roe deer"]
    assert page.value(FOUND) == f"{len(names)} of 60 images."
    page.type(" no such thing")
    assert page.value(FOUND) == "0 of 60 images."
    assert "No picture matches" in page.value("document.getElementById('grid').innerText")
    page.click("[type=reset]")
    page.until(f"{FOUND} === '60 images.'")


def test_sliders_filter_by_score(page: Page) -> None:
    page.click("#min-score")  # its middle
    assert page.value(FOUND) == "30 of 60 images."
    assert page.value("document.querySelector('[for=min-score]').textContent") == "0.50"
    choose(page, "max-score", 50)
    assert page.value(FOUND) == "1 of 60 images."


def test_a_click_on_a_label_shows_its_pictures(page: Page) -> None:
    page.click("a[data-label=badger]")
    assert page.value(HEADINGS) == ["badger"]
    assert page.value(FOUND) == "10 of 60 images."
    assert page.value("document.getElementById('label').selectedOptions[0].textContent") == "badger (10)"
    page.until("document.querySelector('.tile').getBoundingClientRect().bottom < innerHeight")


def test_order_changes_within_labels(page: Page) -> None:
    before = page.value(TILES)
    choose(page, "order", "highest")
    assert page.value(TILES) == [name for at in range(0, 60, 10) for name in reversed(before[at : at + 10])]


def test_a_picture_opens_large_with_previous_and_next(page: Page) -> None:
    page.click(".tile")
    first = page.value("document.getElementById('viewer-name').textContent")
    assert page.value("document.getElementById('viewer').open")
    assert first == page.value(TILES)[0]
    assert "640 \u00d7 480 pixels, jpeg" in page.value("document.getElementById('viewer-details').innerText")
    assert "other" in page.value("document.getElementById('viewer-predictions').innerText")
    page.click("#next")
    second = page.value("document.getElementById('viewer-name').textContent")
    assert second == page.value(TILES)[1]
    page.press("ArrowLeft")
    assert page.value("document.getElementById('viewer-name').textContent") == first
    assert page.value("document.getElementById('previous').disabled")
    page.click("#close")
    assert not page.value("document.getElementById('viewer').open")


def test_the_keyboard_reaches_everything_with_one_tab_stop_for_all_pictures(page: Page) -> None:
    page.value("document.querySelector('#filters [type=reset]').focus()")
    page.press("Tab")
    focused = "document.activeElement.title"
    names = page.value(TILES)
    assert page.value(focused) == names[0]
    assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("ArrowRight")
    assert page.value(focused) == names[1]
    page.press("ArrowDown")
    assert page.value(focused) == names[1 + page.value("columns")]
    page.press("Enter")
    assert page.value("document.getElementById('viewer').open")
    page.press("ArrowRight")
    page.press("Escape")
    # The browser restores the focus in a separate task after the viewer has closed.
    page.until(f"{focused} === {json.dumps(names[2 + page.value('columns')])}")
    assert not page.value("document.getElementById('viewer').open")
    page.press("Tab")
    assert not page.value("document.activeElement.classList.contains('tile')")


def test_the_first_tab_stop_skips_to_the_pictures(page: Page, small: Path) -> None:
    page.open(small, height=3000)  # again: some Chromium versions continue from the position a script scrolled to
    page.requests.clear()
    page.requests.append(small.as_uri())
    page.press("Tab")
    assert page.value("document.activeElement.textContent") == "Skip to the pictures"
    assert page.value("document.activeElement.getBoundingClientRect().left") >= 0
    page.press("Enter")
    page.until("document.activeElement.id === 'gallery'")


def test_the_numbers_behind_a_chart_unfold(page: Page) -> None:
    page.click("figure summary")
    assert "0.95 to 1.00" in page.value("document.querySelector('figure table').innerText")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("opened", [False, True], ids=["page", "viewer"])
def test_every_text_has_enough_contrast(page: Page, *, dark: bool, opened: bool) -> None:
    page.use_theme(dark=dark)
    page.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    if opened:
        page.click(".tile")
    count, low_contrast = page.value(LOW_CONTRAST)
    assert count > 150
    assert low_contrast == []
    paper = page.value("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(19, 23, 22)") is dark


@pytest.mark.parametrize("width", [320, 390, 1280, 1900])
def test_nothing_is_wider_than_the_window(page: Page, small: Path, width: int) -> None:
    page.requests.clear()
    page.open(small, width=width)
    scroll_to_pictures(page)
    page.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.value("document.documentElement.scrollWidth") == width
    assert page.value("columns") >= 2
    page.click(".tile")
    assert page.value("document.getElementById('viewer').getBoundingClientRect().width") <= width
    assert page.value("document.getElementById('viewer').scrollWidth <= document.getElementById('viewer').clientWidth")


def test_every_control_has_a_name(page: Page) -> None:
    page.click(".tile")
    assert page.value(NAMELESS) == []


def test_a_narrower_window_has_fewer_columns_and_keeps_the_focus(page: Page) -> None:
    wide = page.value("columns")
    page.value("document.querySelector('[data-at=\"7\"]').focus()")
    page.send("Emulation.setDeviceMetricsOverride", width=500, height=900, deviceScaleFactor=1, mobile=False)
    page.until(f"columns < {wide}")
    assert page.value("document.querySelector('.row:has(.tile)').children.length") == page.value("columns")
    assert page.value("document.activeElement.dataset.at") == "7"


def test_hostile_names_and_labels_do_nothing(browser: Page, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    hostile = [outcome(EVIL, label=EVIL), outcome("__proto__", label="constructor"), outcome("x", label="__proto__")]
    bad = outcome(EVIL, status=Status.FAILED, reason=EVIL, detail=EVIL)
    path.write_text(page_about([*hostile, bad], filters=(EVIL,), container=EVIL))
    browser.requests.clear()
    browser.messages.clear()
    browser.open(path)
    assert browser.value("document.title").startswith("4 images in </script>")
    assert browser.value("document.querySelectorAll('img[src=x]').length") == 0
    assert browser.value(FOUND) == "3 images."
    for number in range(1, 4):
        browser.click(f".labels tbody tr:nth-child({number}) a")
        assert browser.value(FOUND) == "1 of 3 images."
    browser.click(".tile")
    assert browser.value("document.getElementById('viewer').open")
    assert browser.requests == [path.as_uri()]
    assert browser.messages == []


def test_an_injected_script_or_style_would_not_run(browser: Page, small: Path) -> None:
    """The content security policy stops injected markup from running and from sending requests."""
    browser.open(small)
    browser.requests.clear()
    markup = """<img src="http://localhost:9/a" onerror="document.title='owned'">
        <b id="b" style="color: red" onclick="document.title='owned'">b</b>"""
    browser.value(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(markup)})")
    browser.value("fetch('http://localhost:9/b').catch(() => 0)")
    browser.click("#b")
    assert "images in incoming" in browser.value("document.title")
    assert browser.value("getComputedStyle(document.getElementById('b')).color") != "rgb(255, 0, 0)"
    blocked = [message for message in browser.messages if "Content Security Policy" in message]
    assert len(blocked) >= 3
    browser.messages.clear()


def test_ten_thousand_pictures_need_few_elements(browser: Page, large: Path) -> None:
    browser.requests.clear()
    browser.messages.clear()
    browser.open(large)
    elements = "document.getElementById('grid').querySelectorAll('*').length"
    assert browser.value(FOUND) == "10,000 images."
    for share in (0.3, 0.7, 1.0):
        browser.value(f"scrollTo({{top: {share} * document.documentElement.scrollHeight, behavior: 'instant'}})")
        browser.until(
            "[...document.querySelectorAll('.tile')].some((tile) => {"
            " const top = tile.getBoundingClientRect().top; return top > 0 && top < innerHeight / 2; })"
        )
        assert browser.value(elements) < 1500
    browser.value("filter()")
    assert browser.value(elements) < 1500
    browser.value("document.querySelector('#filters [type=reset]').focus()")
    browser.until("document.querySelector('.tile[tabindex=\"0\"]')")
    browser.press("Tab")
    browser.press("End")
    assert browser.value("document.activeElement.dataset.at") == "9999"
    assert browser.value("document.activeElement.getBoundingClientRect().bottom <= innerHeight")
    assert browser.messages == []
