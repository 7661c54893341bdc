"""The gallery's facts as one JSON block; the page's script draws them.

Bounded in bytes whatever the names are: where the rows would be too many bytes, every other one is left out.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from tools.report.markup import json_block, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from storage.results.record import Record
    from tools.report.thumbnails import Missing

MOST_IMAGES = 10_000
THUMBNAIL_BYTES = 19_000_000 * 3 // 4  # of all thumbnails together; in base64, 19 MB of the page's 30
_ROW_BYTES = 6_000_000

COLUMNS = ("name", "label", "score", "at", "width", "height", "format", "waited", "took", "top", "picture")
"""Of one image: label and format are positions in their lists, ``at`` is Unix seconds, ``waited`` and ``took`` are
milliseconds, ``top`` alternates label and score. ``picture`` is WebP in base64, or in ``missing`` why there is none."""


class Gallery:
    """The images that are shown, thinned until their rows fit.

    Args:
        sample: Classified images, by label; see ``EvenSample.records``.
    """

    def __init__(self, sample: Sequence[Record]) -> None:
        self.records = sample
        while len(self._json([None] * len(self.records))) > _ROW_BYTES:
            self.records = self.records[::2]

    def json(self, pictures: Iterable[bytes | Missing]) -> str:
        """The block, with a picture or the lack of one for each of ``records``, in their order."""
        return self._json([each if isinstance(each, str) else base64.b64encode(each).decode() for each in pictures])

    def _json(self, pictures: Sequence[str | None]) -> str:
        labels, formats = _Numbers(), _Numbers()
        images = [
            [*_row(record, labels, formats), picture] for record, picture in zip(self.records, pictures, strict=True)
        ]
        return json_block(
            {"columns": COLUMNS, "labels": list(labels.texts), "formats": list(formats.texts), "images": images}
        )


class _Numbers:
    """Texts that occur again and again, each written once."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}

    def of(self, text: str | None) -> int:
        return self.texts.setdefault(shown(text or "", 80), len(self.texts))


def _row(record: Record, labels: _Numbers, formats: _Numbers) -> Iterator[Any]:
    yield shown(record.blob_name)
    yield labels.of(record.label)
    yield round(record.score or 0.0, 4)
    yield int(record.classified_at.timestamp())
    yield record.width
    yield record.height
    yield formats.of(record.format)
    yield record.queue_delay_ms
    yield record.duration_ms
    yield [part for each in record.predictions for part in (labels.of(each.label), round(each.score, 4))]
