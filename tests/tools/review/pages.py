"""Makes review pages without storage, and reads them: in a browser, or with an HTML parser."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from PIL import Image

from inference.predictions import Prediction
from tests.tools.report.reports import NOON, outcome, thumbnail
from tests.waiting import until
from tools.review.drawing import Terms, all_rows, draw
from tools.review.label_choices import LabelChoices
from tools.review.page import ReviewPage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from storage.results.record import Record
    from tests.tools.report.browser import Page

SHOWN = "document.querySelector('#caption bdi').textContent"
COUNT = "document.getElementById('count').textContent"
CHOICES = "[...document.querySelectorAll('#choices bdi')].map((each) => each.textContent)"
PRESSED = "[...document.querySelectorAll('[aria-pressed=true]')].map((each) => each.dataset.label ?? each.id)"
FOUND = "[...document.querySelectorAll('#found li')].map((each) => each.textContent)"
FOCUS = "document.activeElement.id"


def photos(number: int) -> list[Record]:
    """Their scores rise with their number."""
    others = (Prediction("badger", 1, 0.2), Prediction("Mäusebussard", 2, 0.1), Prediction("empty", 3, 0.05))
    return [
        outcome(
            f"site/{at:04}.jpg",
            etag=f"0x{at:X}",
            score=0.3 + at / 10_000,
            predictions=(Prediction("fox", 0, 0.3), *others),
        )
        for at in range(number)
    ]


def write_page(path: Path, records: Iterable[Record], picture: bytes | None = None, *, is_random: bool = False) -> Path:
    """A page about these records, lowest score first, or in random order; each has the same picture."""
    labels = LabelChoices()
    drawn = draw(labels.seen_in(records), all_rows, Terms(5_000, None, 0, is_random))
    page = ReviewPage("incoming", NOON, drawn, labels.all())
    content = picture or thumbnail()
    with path.open("w", encoding="utf-8") as file:
        page.write(file, (content for _ in drawn.records))
    return path


def saved(page: Page, folder: Path) -> dict[str, Any]:
    """Click Save, and read the file that the browser downloads."""
    page.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    page.click("#save")
    path = folder / "corrections.json"
    until(path.exists, "the download")
    content = path.read_text(encoding="utf-8")
    path.unlink()
    return dict(json.loads(content))


class _Blocks(HTMLParser):
    """Collects the contents of the page's data blocks with a parser of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            values = dict(attrs)
            self.blocks.append((values.get("class") or values.get("id") or "", ""))

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.blocks and data.strip():
            name, before = self.blocks[-1]
            self.blocks[-1] = (name, before + data)


def read(path: Path) -> tuple[dict[str, Any], dict[str, tuple[dict[str, Any], Image.Image]]]:
    """The page's own block, and what it holds of each photo by name."""
    parser = _Blocks()
    parser.feed(path.read_text(encoding="utf-8"))
    of = {kind: [text for name, text in parser.blocks if name == kind] for kind in ("about", "photo", "data")}
    abouts = map(json.loads, of["about"])
    images = [Image.open(io.BytesIO(base64.b64decode(text))) for text in of["photo"]]
    return json.loads(of["data"][0]), {
        about["blob_name"]: (about, image) for about, image in zip(abouts, images, strict=True)
    }
