"""The page itself: one HTML file that holds all it needs and may ask nobody for anything.

Its content security policy allows exactly our own style and script, by their hashes, and pictures that are part of the
page. What came from outside could not run even if it got in, nor could anything leave.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from tools.report import sections
from tools.report.markup import element, html, shown
from tools.report.measures import counted
from tools.report.speed import speed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tools.report.gallery import Gallery
    from tools.report.summary import Summary
    from tools.report.thumbnails import Missing

_PARTS = Path(__file__).parent / "web"


@dataclass(frozen=True, slots=True)
class Report:
    """What is reported on.

    Attributes:
        container: Where the images are.
        filters: What was asked for, in words; empty for everything.
        made: When; aware.
        summary: The sums of all that was found.
        gallery: The images that are shown.
    """

    container: str
    filters: Sequence[str]
    made: datetime
    summary: Summary
    gallery: Gallery

    def page(self, pictures: Iterable[bytes | Missing]) -> str:
        """Put the page together.

        Args:
            pictures: For each record of the gallery a WebP image, or why there is none.
        """
        style, script = (_part(name) for name in ("report.css", "report.js"))
        policy = (
            f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
            "base-uri 'none'; form-action 'none'"
        )
        title = f"{counted(self.summary.images, 'image')} in {shown(self.container)}"
        return Template(_part("report.html")).substitute(
            title=html([element("title", title)]),
            policy=html([element("meta", http_equiv="Content-Security-Policy", content=policy)]),
            style=style,
            script=script,
            masthead=html(sections.masthead(self.summary, self.container, self.filters, self.made)),
            overview=html(sections.overview(self.summary)),
            problems=html(sections.problems(self.summary)),
            speed=html(speed(self.summary)),
            sampling=html(sections.sampling(self.summary, len(self.gallery.records))),
            data=self.gallery.json(pictures),
        )


def _part(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
