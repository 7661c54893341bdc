"""Writes the review page: one HTML file with its photos, which loads nothing.

The file is written photo by photo, so memory does not depend on its size. Each photo has two blocks that no browser
runs: JSON with its name and labels, and its picture as WebP in base64, which the script reads when the photo is shown.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from inference.predictions import UNKNOWN
from tools.report.page import WEB as REPORT_WEB
from tools.report.templates import csp_hash, templates
from tools.report.text import display_text
from tools.report.thumbnails import MissingThumbnail

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from storage.results.record import Record
    from tools.review.drawing import Draw, Stratum

_WEB = Path(__file__).parent / "web"
_MAX_LABEL = 80  # characters of a label that the page shows
_MAX_CHOICES = 9  # one key each


@dataclass(slots=True)
class ReviewPage:
    """One page. Written once.

    Attributes:
        container: The container of the photos.
        created_at: Aware.
        draw: The photos.
        labels: What the search offers.
        shown: After ``write``, the number of photos on the page by stratum.
        missing: After ``write``, the number of photos left out by reason.
    """

    container: str
    created_at: datetime
    draw: Draw
    labels: Sequence[str]
    shown: Counter[Stratum] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)

    def write(self, file: IO[str], pictures: Iterable[bytes | MissingThumbnail]) -> None:
        """Write the page.

        Args:
            file: Takes UTF-8 text.
            pictures: For each record of the draw, in its order, a WebP image or why there is none.
        """
        style = (REPORT_WEB / "base.css").read_text("utf-8") + (_WEB / "review.css").read_text("utf-8")
        script = (_WEB / "review.js").read_text("utf-8")
        content = hashlib.sha256(json.dumps([self.container, self.draw.sample]).encode())
        page = templates(_WEB).get_template("review.html")
        parts = page.generate(
            page=self,
            style=style,
            style_hash=csp_hash(style),
            script=script,
            script_hash=csp_hash(script),
            photos=self._photos(pictures, content),
            data=lambda: self._data(content.hexdigest()),
        )
        for part in parts:
            file.write(part)

    def _photos(self, pictures: Iterable[bytes | MissingThumbnail], content: Any) -> Iterator[tuple[Markup, Markup]]:
        """Yield the two blocks of each photo, and add what identifies it to the hash of the page's content."""
        for record, picture in zip(self.draw.records, pictures, strict=True):
            if isinstance(picture, MissingThumbnail):
                self.missing[str(picture)] += 1
                continue
            self.shown[self.draw.stratum_of(record)] += 1
            content.update(json.dumps([record.blob_name, record.etag, record.label]).encode())
            yield _json(_about(record)), Markup(base64.b64encode(picture).decode())  # noqa: S704 - base64 has no markup

    def _data(self, content_id: str) -> Markup:
        """The block about the page as a whole, for the script."""
        drawn = Counter(map(self.draw.stratum_of, self.draw.records))
        strata = [
            {**stratum._asdict(), "rows": rows, "drawn": drawn[stratum], "shown": self.shown[stratum]}
            for stratum, rows in sorted(self.draw.rows.items(), key=str)
        ]
        corrections = {
            "version": 1,
            "container": self.container,
            "sample": self.draw.sample,
            **({"seed": self.draw.seed, "strata": strata} if self.draw.is_random else {}),
        }
        labels = [_label(label) for label in self.labels]
        return _json({"id": content_id, "corrections": corrections, "labels": labels})


def _about(record: Record) -> dict[str, Any]:
    """What the page knows about one photo.

    ``choices`` holds the row's label and then the best others, each with its score. ``unknown`` is not among them: no
    person means it as a label.
    """
    scores: dict[str, float | None] = {record.label or "": record.score}
    for each in record.predictions:
        scores.setdefault(each.label, each.score)
    choices = [(label, score) for label, score in scores.items() if label != UNKNOWN][:_MAX_CHOICES]
    return {
        "blob_name": record.blob_name,
        "name": display_text(record.blob_name),
        "etag": record.etag,
        "label": record.label,
        "choices": [[*_label(label), None if score is None else round(score, 4)] for label, score in choices],
        "score": record.score,
        "model": record.model,
        "model_version": record.model_version,
        "taken_at": display_text((record.taken_at or "").replace("T", " "), 40),
        "decoded_fraction": record.decoded_fraction,
    }


def _label(label: str) -> list[str]:
    """A label, followed by its form for the screen where that differs."""
    return [label, display_text(label, _MAX_LABEL)]


def _json(value: Any) -> Markup:
    """Serialise for a ``script`` element: ASCII, without characters that could end the element."""
    return htmlsafe_json_dumps(value, separators=(",", ":"), allow_nan=False)
