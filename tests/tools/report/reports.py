"""Makes records and report pages without storage."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from PIL import Image

from inference.predictions import Prediction
from storage.results.record import Record, Status
from storage.reviews.join import ReviewedRow
from tools.report.drift.section import ChangePhotos, drift
from tools.report.drift.tally import Tally
from tools.report.gallery import MAX_IMAGES, Gallery
from tools.report.page import Report
from tools.report.reviewed import ReviewSums, data_uri
from tools.report.sampling import EvenSample, by_label
from tools.report.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from storage.reviews.review import Review
    from tools.report.thumbnails import MissingThumbnail

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANIMALS = ("fox", "roe deer", "badger", "hare", "wild boar", "empty")


def outcome(blob_name: str, **changed: Any) -> Record:
    """A classified image; a rejected or failed one where ``status`` says so."""
    values: dict[str, Any] = {
        "container": "incoming",
        "blob_name": blob_name,
        "status": Status.CLASSIFIED,
        "etag": "0x1",
        "model": "animals",
        "model_version": "0123456789ab",
        "classified_at": NOON,
        "sidecar": f"results/{blob_name}.json",
        "label": "fox",
        "label_index": 0,
        "score": 0.9,
        "width": 640,
        "height": 480,
        "format": "jpeg",
        "queue_delay_ms": 1200,
        "duration_ms": 40,
    }
    if changed.get("status", Status.CLASSIFIED) is not Status.CLASSIFIED:
        values |= {"label": None, "label_index": None, "score": None}
        values |= {"reason": "truncated", "detail": "The file ends too early."}
    return Record(**values | changed)


def outcomes(number: int) -> list[Record]:
    """Many of them: the n-th has its own name, one of six labels, a score that rises within each label, its own day."""
    made = []
    for at in range(number):
        label, score = ANIMALS[at % len(ANIMALS)], at / number
        guesses = (Prediction(label, at % len(ANIMALS), score), Prediction("other", 9, (1 - score) / 2))
        changed = {"label": label, "score": score, "predictions": guesses}
        when = NOON - timedelta(days=at % 30)
        made.append(outcome(f"site-{at % 7}/IMG_{at:05d}.jpg", classified_at=when, **changed))
    return made


def thumbnail(hue: int = 0) -> bytes:
    """A small WebP image."""
    file = io.BytesIO()
    Image.new("HSV", (112, 84), (hue % 256, 120, 180)).convert("RGB").save(file, "WEBP", quality=50)
    return file.getvalue()


def page_about(
    records: Iterable[Record],
    picture: Callable[[Record], bytes | MissingThumbnail] = lambda _: thumbnail(),
    *,
    filters: tuple[str, ...] = (),
    container: str = "incoming",
    reviews: Callable[[Record], tuple[Review, ...]] = lambda _: (),
) -> str:
    """The page, made as the command makes it."""
    summary, sample, reviewed, tally = Summary(), EvenSample(MAX_IMAGES, by_label), ReviewSums(), Tally()
    records = list(records)
    for record in records:
        summary.add(record)
        reviewed.add(ReviewedRow(record, reviews(record)))
        if record.status is Status.CLASSIFIED:
            sample.add(record)
            tally.add(record)
    changes = ChangePhotos(tally)
    for record in records:
        if record.status is Status.CLASSIFIED:
            changes.add(record)
    weeks = drift(tally, changes, {record.image: data_uri(picture(record)) for record in changes.records()})
    gallery = Gallery(sample.records())
    reviewed.pictures = [data_uri(picture(row.record)) for row in reviewed.differing]
    return Report(container, filters, NOON, summary, gallery, reviewed, weeks if sample.rows else None).render(
        map(picture, gallery.records)
    )
