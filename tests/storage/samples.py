"""Values that storage tests share: records with everything in them, and names that break naive code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from inference.predictions import Classification, ImageInfo, ModelIdentity, Prediction
from storage.results.index_rows import index_rows
from storage.results.record import Record, Status
from storage.reviews.review import Review

if TYPE_CHECKING:
    from inference.predictions import Decision
    from storage.results.store import Results

MODEL = ModelIdentity("shapes", "0123456789ab")
NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, UTC)

# Legal blob names that clients, keys or URLs have changed.
AWKWARD_NAMES = {
    "plain": "cat.jpg",
    "nested": "2026/11/20/site a/cat.jpg",
    "space": "my cat.jpg",
    "percent": "100%.jpg",
    "percent escape": "a%20b%2Fc.jpg",
    "hash": "#1.jpg",
    "question mark": "why?.jpg",
    "plus": "a+b.jpg",
    "ampersand": "a&b=c.jpg",
    "single quote": "it's.jpg",
    "double quote": 'say "cheese".jpg',
    "backslash": "a\\b.jpg",
    "bar": "a|b.jpg",
    "equals escape": "a=2Fb==.jpg",
    "composed accent": "caf\u00e9.jpg",
    "decomposed accent": "cafe\u0301.jpg",
    "emoji": "\U0001f431\u200d\U0001f3cd.jpg",
    "right to left": "\u05d7\u05ea\u05d5\u05dc.jpg",
    "leading space": " cat.jpg",
    "dot file": ".hidden",
    "double slash": "a//b.jpg",
    "no extension": "README",
    "json": "notes.json",
    "comma and semicolon": "a,b;c.jpg",
    "braces": "{name}.jpg",
    "line separator": "a\u2028b.jpg",
}


def write_results(results: Results, *records: Record) -> None:
    """Write index rows and row of each record, without a sidecar."""
    for each in records:
        for row in index_rows(each):
            results.write_index_row(row)
        results.write_row(each, None)


def record(blob_name: str = "cat.jpg", **changes: Any) -> Record:
    """A classified record with every column filled."""
    values: dict[str, Any] = {
        "container": "incoming",
        "blob_name": blob_name,
        "status": Status.CLASSIFIED,
        "etag": "0x8DE1",
        "model": MODEL.name,
        "model_version": MODEL.version,
        "classified_at": NOON,
        "sidecar": f"results/{blob_name}.json",
        "label": "cat",
        "label_index": 3,
        "score": 0.875,
        "predictions": (Prediction("cat", 3, 0.875), Prediction("dog", 4, 0.125)),
        "blob_last_modified": datetime(2026, 11, 20, 11, 59, 58, tzinfo=UTC),
        "content_length": 5_000_000_000,
        "width": 4000,
        "height": 3000,
        "format": "jpeg",
        "queue_delay_ms": 2123,
        "duration_ms": 40,
    }
    return Record(**values | changes)


def review(reviewed_label: str | None = "dog", **changes: Any) -> Review:
    """A review of a cat."""
    values = {"reviewed_label": reviewed_label, "reviewed_by": "Ana", "reviewed_at": NOON, "label": "cat"}
    return Review(**values | changes)


def rejected(blob_name: str = "notes.txt", **changes: Any) -> Record:
    """A rejected record: no label, no score, no size."""
    absent = dict.fromkeys(("label", "label_index", "score", "width", "height", "format"))
    reason = {
        "status": Status.REJECTED,
        "reason": "not_an_image",
        "detail": "These bytes are no image.",
        "predictions": (),
    }
    return record(blob_name, **absent | reason | changes)


SCORES = b"\x00\x3a\x00\x34"  # 0.75 and 0.25 as float16


class FixedClassifier:
    """Returns a fixed label or raises a fixed error, and keeps the contents it was called with."""

    def __init__(
        self,
        label: str = "cat",
        model: ModelIdentity = MODEL,
        error: Exception | None = None,
        decoded_fraction: float | None = None,
        decision: Decision | None = None,
    ) -> None:
        self.model = model
        self.decision = decision
        self.decoded_fraction = decoded_fraction
        self.label = label
        self.error = error
        self.asked: list[bytes] = []

    def classify(self, content: bytes) -> Classification:
        self.asked.append(content)
        if self.error is not None:
            raise self.error
        best = Prediction(self.label, 0, 0.75)
        return Classification(
            self.label,
            0,
            0.75,
            (best,),
            ImageInfo(8, 6, "png"),
            self.model,
            decoded_fraction=self.decoded_fraction,
            scores=SCORES,
            decision=self.decision,
        )
