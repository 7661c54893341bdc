"""Renders the report as one HTML file that loads nothing.

The content security policy allows only the page's own style and script, by hash, and images embedded in the page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from storage.results.record import Status
from tools.report import sections
from tools.report.reviewed import ReviewSums
from tools.report.templates import csp_hash, templates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tools.report.compare.section import Compared
    from tools.report.drift.section import Drift
    from tools.report.gallery import Gallery
    from tools.report.summary import Summary
    from tools.report.thumbnails import MissingThumbnail

WEB = Path(__file__).parent / "web"
"""Its ``base.css`` is the style that every page shares."""
_ASSETS = ("base.css", "report.css", "report.js")


@dataclass(frozen=True, slots=True)
class Report:
    """The contents of a report.

    Attributes:
        container: Name of the container of the images.
        filters: The query's filters, in words; empty for all images.
        created_at: Aware.
        summary: Sums over all images found.
        gallery: The images shown as thumbnails.
        reviewed: Sums over the reviews of all images found.
        drift: The section about weeks; ``None`` without a classified image.
        comparisons: The section about several models; ``None`` where it was not asked for.
    """

    container: str
    filters: Sequence[str]
    created_at: datetime
    summary: Summary
    gallery: Gallery
    reviewed: ReviewSums = field(default_factory=ReviewSums)
    drift: Drift | None = None
    comparisons: Sequence[Compared] | None = None

    def render(self, thumbnails: Iterable[bytes | MissingThumbnail]) -> str:
        """Render the page.

        Args:
            thumbnails: For each record of the gallery, in its order, a WebP image or why there is none.
        """
        base, own, script = (WEB.joinpath(name).read_text(encoding="utf-8") for name in _ASSETS)
        style = base + own
        return (
            templates(WEB)
            .get_template("report.html")
            .render(
                report=self,
                summary=self.summary,
                statuses=list(Status),
                classified=self.summary.statuses[Status.CLASSIFIED],
                labels=sections.labels(self.summary),
                overview=sections.overview(self.summary),
                problems=sections.problems(self.summary),
                reviewed=self.reviewed,
                drift=self.drift,
                comparisons=self.comparisons,
                latencies=sections.latencies(self.summary),
                gallery=self.gallery.json(thumbnails),
                style=style,
                style_hash=csp_hash(style),
                script=script,
                script_hash=csp_hash(script),
            )
        )
