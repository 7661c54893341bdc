"""A review page of rendered photographs, for pictures and measurements."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from inference.classifier import load
from tests.tools.report.reports import NOON, outcome
from tools.review.drawing import Terms, all_rows, draw
from tools.review.label_choices import LabelChoices
from tools.review.page import ReviewPage
from tools.sample_photos.photographs import EVALUATION, photograph

if TYPE_CHECKING:
    from storage.results.record import Record

ROOT = Path(__file__).resolve().parents[3]
_SIDE = 1024  # pixels


def write_rendered(path: Path, photos: int, copies: int = 1) -> None:
    """Classify rendered photographs with the demo model, and write a page of them; each may appear several times."""
    classifier = load(ROOT / "models" / "shapes")
    pictures, records = [], []
    for number in range(photos):
        content = photograph(EVALUATION, number, (_SIDE,)).content
        pictures.append(_webp(content))
        answer = classifier.classify(content)
        records += [
            outcome(
                f"site-{number % 7 + 1}/RCNX{copy * photos + number:04}.JPG",
                model=classifier.model.name,
                model_version=classifier.model.version,
                label=answer.label,
                score=answer.score,
                predictions=answer.predictions,
                taken_at=f"2026-11-{number % 28 + 1:02}T05:{number % 60:02}:33",
            )
            for copy in range(copies)
        ]
    labels = LabelChoices()
    drawn = draw(labels.seen_in(records), all_rows, Terms(len(records), None, 0, is_random=False))
    page = ReviewPage("incoming", NOON, drawn, labels.all())
    with path.open("w", encoding="utf-8") as file:
        page.write(file, (pictures[_number(record) % photos] for record in drawn.records))


def _number(record: Record) -> int:
    return int(record.blob_name[-8:-4])


def _webp(content: bytes) -> bytes:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=72)
    return file.getvalue()
