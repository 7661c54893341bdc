"""Draws the pictures of the report in docs/using.md: ``python -m tests.tools.report.regenerate_pictures``.

The images are 1,000 rendered photographs, classified by the demo model. Their folders, days and times are made up.
"""

from __future__ import annotations

import io
import tempfile
from datetime import timedelta
from pathlib import Path
from random import Random

from PIL import Image, ImageOps

from inference.classifier import load
from storage.results.record import Record, Status
from tests.programs import PROGRAMS
from tests.tools.report.browser import browsing
from tests.tools.report.reports import NOON, outcome, page_about
from tools.sample_photos.photographs import EVALUATION, SMALL_PX, photograph

ROOT = Path(__file__).resolve().parents[3]
PICTURES = ROOT / "docs" / "img"
_IMAGES = 1_000
_PROBLEMS = (
    *(("truncated", "The file ends too early.", Status.REJECTED),) * 9,
    *(("not_an_image", "The file is not an image.", Status.REJECTED),) * 4,
    ("storage", "Reading the image failed (503 ServerBusy).", Status.FAILED),
)


def records_and_thumbnails() -> tuple[list[Record], dict[str, bytes]]:
    """Classify the photographs; returns their records, and thumbnails by blob name."""
    rng = Random(0)
    classifier = load(ROOT / "models" / "shapes")
    records, thumbnails = [], {}
    for number in range(_IMAGES):
        label_index = min(9, int(rng.expovariate(0.4)))
        photo = photograph(EVALUATION, number * 10 + label_index, SMALL_PX)
        answer = classifier.classify(photo.content)
        name = f"site-{rng.randint(1, 9)}/RCNX{number:04}.JPG"
        records.append(
            outcome(
                name,
                model=classifier.model.name,
                model_version=classifier.model.version,
                classified_at=NOON - timedelta(days=min(60, rng.expovariate(0.08))),
                label=answer.label,
                score=answer.score,
                predictions=answer.predictions,
                width=photo.width,
                height=photo.height,
                queue_delay_ms=round(1000 * rng.lognormvariate(0.5, 0.6)),
                duration_ms=round(1000 * rng.lognormvariate(-2.5, 0.4)),
            )
        )
        thumbnails[name] = _thumbnail(photo.content)
    for number, (reason, detail, status) in enumerate(_PROBLEMS):
        bad = {"status": status, "reason": reason, "detail": detail, "model": classifier.model.name}
        when = NOON - timedelta(days=rng.uniform(0, 30))
        name = f"site-2/RCNX9{number:03}.JPG"
        records.append(outcome(name, **bad, model_version=classifier.model.version, classified_at=when))
    return records, thumbnails


def _thumbnail(content: bytes) -> bytes:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    image.thumbnail((256, 256))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=72)
    return file.getvalue()


def main() -> None:
    """Render the page, and take one picture of its top and one of its gallery."""
    chromium = PROGRAMS["chromium"].find()
    if chromium is None:
        raise SystemExit(PROGRAMS["chromium"].missing)
    records, thumbnails = records_and_thumbnails()
    with tempfile.TemporaryDirectory() as scratch, browsing(chromium, Path(scratch) / "profile") as page:
        path = Path(scratch) / "report.html"
        path.write_text(page_about(records, lambda record: thumbnails[record.blob_name]), encoding="utf-8")
        page.open(path, width=1180, height=1010)
        PICTURES.joinpath("report.png").write_bytes(page.screenshot())
        page.open(path, width=1180, height=640, dark=True)
        page.value("document.getElementById('gallery').scrollIntoView({behavior: 'instant'})")
        page.until("[...document.querySelectorAll('.tile img')].some((image) => image.complete)")
        page.value("new Promise(requestAnimationFrame)")
        PICTURES.joinpath("report-gallery.png").write_bytes(page.screenshot())


if __name__ == "__main__":
    main()
