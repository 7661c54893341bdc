"""Draws the pictures of the review page in docs/reviews.md: ``python -m tests.tools.review.regenerate_pictures``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.programs import needed
from tests.tools.report.browser import browsing
from tests.tools.review.rendered import ROOT, write_rendered

PICTURES = ROOT / "docs" / "img"


def main() -> None:
    """Take one picture of a desktop, and one of a phone in the dark."""
    with tempfile.TemporaryDirectory() as scratch, browsing(needed("chromium"), Path(scratch) / "profile") as page:
        path = Path(scratch) / "review.html"
        write_rendered(path, photos=60)
        page.open(path, width=1180, height=720)
        for key in ("Enter", "2", "Enter", "u", "Enter", "Enter", "3", "Enter"):
            page.press(key)
        page.value("new Promise(requestAnimationFrame)")
        PICTURES.joinpath("review.png").write_bytes(page.screenshot())
        page.send("Emulation.setTouchEmulationEnabled", enabled=True)
        page.open(path, width=360, height=720, dark=True)
        page.value("new Promise(requestAnimationFrame)")
        PICTURES.joinpath("review-phone.png").write_bytes(page.screenshot())


if __name__ == "__main__":
    main()
