"""COCO: a JSON file with ``images``, ``annotations`` and ``categories`` (cocodataset.org/#format-data).

COCO has no labels of whole images, so an annotation's box is the full frame. Its label is the newest review's, else the
model's; its ``score`` is the model's for that label, or ``null``. Only images with a label and a size are in the file.
Ids are numbers from 1: of images in the order of the rows, of categories in the order of their names, so two exports
with the same labels agree.
"""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from storage.results.record import Record
    from storage.reviews.join import ReviewedRow


def write(rows: Iterable[ReviewedRow], path: Path, label_of: Callable[[ReviewedRow], str | None]) -> dict[str, int]:
    """Write one file, and return the numbers of images, categories and rows left out.

    Args:
        rows: The rows.
        path: The file.
        label_of: The label of a row; ``None`` leaves it out.
    """
    labels: dict[str, int] = {}
    images = left_out = 0
    # Annotations follow all images, and have category ids that are known at the end.
    with path.open("w", encoding="ascii") as file, tempfile.TemporaryFile("w+", dir=path.parent) as spool:
        file.write('{\n"info": {"description": "Labels of whole images by a classifier"},\n"images": [')
        for row in rows:
            record, name = row.record, label_of(row)
            if name is None or not record.width or not record.height:
                left_out += 1
                continue
            images += 1
            file.write(f"{_separator(images)}{json.dumps(_image(record, images))}")
            label = labels.setdefault(name, len(labels))
            print(json.dumps([label, record.width, record.height, row.score]), file=spool)
        ids = {labels[label]: number for number, label in enumerate(sorted(labels), start=1)}
        file.write('\n],\n"annotations": [')
        spool.seek(0)
        for number, line in enumerate(spool, start=1):
            label, width, height, score = json.loads(line)
            file.write(f"{_separator(number)}{json.dumps(_annotation(number, ids[label], width, height, score))}")
        file.write('\n],\n"categories": [')
        for number, name in enumerate(sorted(labels), start=1):
            file.write(f"{_separator(number)}{json.dumps({'id': number, 'name': name, 'supercategory': ''})}")
        file.write("\n]\n}\n")
    return {"images": images, "categories": len(labels), "left_out": left_out}


def _image(record: Record, number: int) -> dict[str, Any]:
    image = {"id": number, "file_name": record.blob_name, "width": record.width, "height": record.height}
    return image if record.taken_at is None else {**image, "date_captured": record.taken_at}


def _annotation(number: int, category: int, width: int, height: int, score: float | None) -> dict[str, Any]:
    """The only annotation of the image of the same number."""
    return {
        "id": number,
        "image_id": number,
        "category_id": category,
        "bbox": [0, 0, width, height],
        "area": width * height,
        "iscrowd": 0,
        "segmentation": [[0, 0, width, 0, width, height, 0, height]],
        "score": score,
    }


def _separator(number: int) -> str:
    return "\n" if number == 1 else ",\n"
