"""Writes tasks for Label Studio: https://labelstud.io/guide/predictions (basic JSON format, ``choices``).

The photos stay in storage: a task holds a link that Label Studio's Azure storage connection opens. It takes the link
apart as a URL without decoding it, so it cannot open a photo with a question mark in its name. The labels to choose
among are in each task, so that the labelling interface in docs/reviews.md fits every model.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from inference.predictions import UNKNOWN

if TYPE_CHECKING:
    from pathlib import Path

    from storage.results.record import Record
    from tools.review.page import ReviewPage

_MAX_LABELS = 200  # the most frequent ones: each task repeats them


def write_tasks(path: Path, page: ReviewPage) -> None:
    """Write one task per photo; the file is one JSON list."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("[")
        for record in page.draw.records:
            if "?" in record.blob_name:
                page.missing["named with a question mark"] += 1
                continue
            file.write((",\n" if page.shown else "\n") + json.dumps(_task(record, page)))
            page.shown[page.draw.stratum_of(record)] += 1
        file.write("\n]\n")


def _task(record: Record, page: ReviewPage) -> dict[str, Any]:
    choices = {
        "from_name": "label",
        "to_name": "image",
        "type": "choices",
        "value": {"choices": [record.label]},
    }
    prediction = {"model_version": record.model_version, "score": record.score, "result": [choices]}
    offered = dict.fromkeys([record.label, *(each.label for each in record.predictions), *page.labels[:_MAX_LABELS]])
    offered.pop(UNKNOWN, None)  # no person means it as a label
    data = {
        "image": f"azure-blob://{record.container}/{record.blob_name}",
        "container": record.container,
        "blob_name": record.blob_name,
        "etag": record.etag,
        "label": record.label,
        "sample": page.draw.sample,
        "labels": [{"value": label} for label in offered],
    }
    return {"data": data, "predictions": [] if record.label == UNKNOWN else [prediction]}
