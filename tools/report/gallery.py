"""Builds the gallery's JSON block, from which the page's script draws the pictures.

Its size is bounded for names of any length: while the rows take too many bytes, every second image is dropped.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from jinja2.utils import htmlsafe_json_dumps

from tools.report.text import display_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from markupsafe import Markup

    from storage.results.record import Record
    from tools.report.thumbnails import MissingThumbnail

MAX_IMAGES = 10_000
MAX_THUMBNAIL_BYTES = 19_000_000 * 3 // 4  # of all thumbnails together: 19 MB as base64, of a page of at most 30 MB
_MAX_ROW_BYTES = 6_000_000

COLUMNS = (
    *("name", "label", "score", "classified_at", "width", "height", "format", "queue_delay_ms", "duration_ms"),
    *("decoded_fraction", "predictions", "thumbnail"),
)
"""Columns of an image.

``label`` and ``format`` are indexes into the lists ``labels`` and ``formats``; ``classified_at`` is Unix time in
seconds; ``decoded_fraction`` is null for a whole picture; ``predictions`` alternates label index and score.
``thumbnail`` is WebP in base64, or a value of ``MissingThumbnail``.
"""


class Gallery:
    """The images that the page shows, dropped evenly until their rows fit.

    Args:
        sample: Classified images, by label; see ``EvenSample.records``.
    """

    def __init__(self, sample: Sequence[Record]) -> None:
        self.records = sample
        while len(self._json([None] * len(self.records))) > _MAX_ROW_BYTES:
            self.records = self.records[::2]

    def json(self, thumbnails: Iterable[bytes | MissingThumbnail]) -> Markup:
        """Serialise the block for a ``script`` element: ASCII, without characters that could end the element.

        Args:
            thumbnails: One for each of ``records``, in their order.
        """
        return self._json([each if isinstance(each, str) else base64.b64encode(each).decode() for each in thumbnails])

    def _json(self, thumbnails: Sequence[str | None]) -> Markup:
        labels, formats = _Indexed(), _Indexed()
        images = [
            [*_row(record, labels, formats), thumbnail]
            for record, thumbnail in zip(self.records, thumbnails, strict=True)
        ]
        block = {"columns": COLUMNS, "labels": list(labels.texts), "formats": list(formats.texts), "images": images}
        return htmlsafe_json_dumps(block, separators=(",", ":"), allow_nan=False)


class _Indexed:
    """Repeated texts, each stored once and referred to by its index."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}

    def index(self, text: str | None) -> int:
        return self.texts.setdefault(display_text(text or "", 80), len(self.texts))


def _row(record: Record, labels: _Indexed, formats: _Indexed) -> Iterator[Any]:
    yield display_text(record.blob_name)
    yield labels.index(record.label)
    yield round(record.score or 0.0, 4)
    yield int(record.classified_at.timestamp())
    yield record.width
    yield record.height
    yield formats.index(record.format)
    yield record.queue_delay_ms
    yield record.duration_ms
    yield record.decoded_fraction and round(record.decoded_fraction, 4)
    yield [part for each in record.predictions for part in (labels.index(each.label), round(each.score, 4))]
