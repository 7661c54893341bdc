"""MegaDetector's batch results, format version 1.6, as Timelapse and MegaDetector's tools read them.

lila.science/megadetector-output-format describes the format. A label of the whole image is a detection whose box is the
full frame, with the label's score as its confidence and the row's best labels as its classifications. A blank image has
no detection. A reviewer's label takes the place of the model's, alone and with confidence 1. A rejected or failed image
without a reviewer's label has its reason as ``failure``. Paths are blob names: relative, with ``/``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from storage.query.events import label_scores
from tools.export.label_types import LabelType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from storage.results.record import Record
    from storage.reviews.join import ReviewedRow

_CATEGORIES = {LabelType.ANIMAL: "1", LabelType.HUMAN: "2", LabelType.VEHICLE: "3", LabelType.UNKNOWN: "4"}
_NAMES = {"1": "animal", "2": "person", "3": "vehicle", "4": "unknown"}
_INFO = {
    "format_version": "1.6",
    "detector": "none: labels of whole images",
    # The values that programs assume where a file of MegaDetector 5 states none.
    "detector_metadata": {"typical_detection_threshold": 0.2, "conservative_detection_threshold": 0.05},
}
_FULL_FRAME = [0.0, 0.0, 1.0, 1.0]  # x, y, width and height as parts of the image's
_VIDEO = re.compile(r"\.(mp4|avi|mpeg|mpg|mov|mkv|flv)$", re.IGNORECASE)  # by MegaDetector's ``is_video_file``
_NO_NAME = "unnamed"  # of a blank label: the format refuses blank names


def write(rows: Iterable[ReviewedRow], path: Path, type_of: Callable[[str], LabelType]) -> dict[str, int]:
    """Write one file, and return the numbers of images, detections and failures.

    Args:
        rows: The rows.
        path: The file.
        type_of: The type of a label.
    """
    labels: dict[str, str] = {}
    models: dict[str, None] = {}
    images = detections = failures = 0
    newest = ""
    with path.open("w", encoding="ascii") as file:
        file.write('{\n"images": [')
        for row in rows:
            record = row.record
            image = _image(row, labels, type_of)
            file.write(f"{',' if images else ''}\n{json.dumps(image)}")
            images += 1
            detections += len(image["detections"] or ())
            failures += "failure" in image
            models[f"{record.model} {record.model_version}"] = None
            newest = max(newest, f"{record.classified_at:%Y-%m-%d %H:%M:%S}")
        info = {**_INFO, "classifier": "; ".join(models), "classification_completion_time": newest}
        categories = {number: label if label.strip() else _NO_NAME for label, number in labels.items()}
        file.write(f'\n],\n"detection_categories": {json.dumps(_NAMES)}')
        file.write(f',\n"classification_categories": {json.dumps(categories)}')
        file.write(f',\n"info": {json.dumps(info)}\n}}\n')
    return {"images": images, "detections": detections, "failures": failures}


def _image(row: ReviewedRow, labels: dict[str, str], type_of: Callable[[str], LabelType]) -> dict[str, Any]:
    record = row.record
    label, score = row.label, 1.0 if row.is_human else record.score
    image: dict[str, Any] = {"file": record.blob_name}
    if label is None or score is None:
        reason = record.reason or str(record.status)
        image |= {"detections": None, "failure": f"{reason}: {record.detail}" if record.detail else reason}
    elif (label_type := type_of(label)) is LabelType.BLANK:
        image["detections"] = []
    else:
        best = [(label, score)] if row.is_human else _best(record)
        classifications = [[labels.setdefault(label, str(len(labels))), score] for label, score in best]
        detection = {"category": _CATEGORIES[label_type], "conf": score, "bbox": _FULL_FRAME}
        image["detections"] = [{**detection, "classifications": classifications}]
    if record.width and record.height:
        image |= {"width": record.width, "height": record.height}
    if record.taken_at is not None:
        image["datetime"] = record.taken_at[:19].replace("-", ":").replace("T", " ")  # as EXIF writes it
    if _VIDEO.search(record.blob_name):  # the format asks for these by the name alone
        image |= {"frame_rate": 1, "frames_processed": [0]}
        for each in image["detections"] or ():
            each["frame_number"] = 0
    return image


def _best(record: Record) -> list[tuple[str, float]]:
    """The labels of a model's answer with their scores, best first."""
    return sorted(label_scores(record).items(), key=lambda each: -each[1])
