"""Renders the report as one HTML file that loads nothing.

Names, labels and messages are hostile. The templates escape every value they print, and ``_displayed`` makes invisible
and direction-changing characters visible. The content security policy allows only the page's own style and script, by
hash, and images embedded in the page.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from storage.results.record import Status
from tools.report import sections
from tools.report.charts import swatch
from tools.report.text import counted, display_text, minute, percentage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tools.report.gallery import Gallery
    from tools.report.summary import Summary
    from tools.report.thumbnails import MissingThumbnail

_WEB = Path(__file__).parent / "web"


@dataclass(frozen=True, slots=True)
class Report:
    """The contents of a report.

    Attributes:
        container: Name of the container of the images.
        filters: The query's filters, in words; empty for all images.
        created_at: Aware.
        summary: Sums over all images found.
        gallery: The images shown as thumbnails.
    """

    container: str
    filters: Sequence[str]
    created_at: datetime
    summary: Summary
    gallery: Gallery

    def render(self, thumbnails: Iterable[bytes | MissingThumbnail]) -> str:
        """Render the page.

        Args:
            thumbnails: For each record of the gallery, in its order, a WebP image or why there is none.
        """
        style, script = (_WEB.joinpath(name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
        return (
            _templates()
            .get_template("report.html")
            .render(
                report=self,
                summary=self.summary,
                statuses=list(Status),
                classified=self.summary.statuses[Status.CLASSIFIED],
                labels=sections.labels(self.summary),
                overview=sections.overview(self.summary),
                problems=sections.problems(self.summary),
                latencies=sections.latencies(self.summary),
                gallery=self.gallery.json(thumbnails),
                style=style,
                style_hash=_csp_hash(style),
                script=script,
                script_hash=_csp_hash(script),
            )
        )


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_WEB),
        autoescape=True,
        finalize=_displayed,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "display": display_text,
        "minute": minute,
        "percentage_of": percentage,
        "counted": counted,
        "number": "{:,}".format,
    }
    templates.globals |= {"swatch": swatch}
    return templates


def _displayed(value: Any) -> Any:
    """Apply ``display_text`` to every text a template prints, except markup of our own."""
    return display_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _csp_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
