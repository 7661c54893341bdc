"""Reads ``corrections.json``, which a review page saves. The file is hostile until each value of it is checked.

    {"version": 1, "container": "incoming", "sample": "random",
     "reviews": [{"blob_name": "a.jpg", "etag": "0x8D", "label": "cat", "reviewed_label": "fox",
                  "at": "2026-11-29T12:00:00Z"}]}

``reviewed_label`` is ``null`` where the reviewer is unsure. ``score``, ``model`` and ``model_version`` may follow in a
review; other keys are ignored. A review that cannot be read is refused alone, with its position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError
from storage.reviews.review import Content, Review, Sample
from tools.review.values import EntryError, etag_of, label_of, optional_text, score_of, text_of, time_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Item = tuple[Content, Review]

VERSION = 1


def read_corrections(document: Mapping[str, Any], container: str, reviewer: str) -> Iterator[Item | EntryError]:
    """Yield each review of the file, or why it is refused.

    Args:
        document: The file's JSON object.
        container: The incoming container; a file of another one is refused.
        reviewer: Whose reviews these are.

    Raises:
        ConfigurationError: This is no file of corrections, or one of another container.
    """
    if document.get("version") != VERSION or isinstance(document.get("version"), bool):
        raise ConfigurationError(
            f'This is no file of corrections of version {VERSION}: it needs "version": {VERSION}, as review pages save.'
        )
    if document.get("container") != container:
        raise ConfigurationError(
            f"These corrections are of the container {document.get('container')!r:.80}, and INCOMING_CONTAINER is "
            f"{container}: set INCOMING_CONTAINER to the container of the photos."
        )
    try:
        sample = Sample(document.get("sample", Sample.CHOSEN))
    except ValueError:
        raise ConfigurationError(
            f'"sample" must be "random" or "chosen", not {document.get("sample")!r:.80}.'
        ) from None
    reviews = document.get("reviews")
    if not isinstance(reviews, list):
        raise ConfigurationError('"reviews" must be a list of reviews.')
    for position, entry in enumerate(reviews, 1):
        try:
            yield _item(entry, container, reviewer, sample)
        except EntryError as error:
            yield error.at(f"Review {position}", entry)


def _item(entry: Any, container: str, reviewer: str, sample: Sample) -> Item:
    if not isinstance(entry, dict):
        raise EntryError("it is no JSON object")
    content = Content(container, text_of(entry, "blob_name"), etag_of(entry))
    if "reviewed_label" not in entry:
        raise EntryError("it has no reviewed_label; null means unsure")
    review = Review(
        reviewed_label=label_of(entry, "reviewed_label"),
        reviewed_by=reviewer,
        reviewed_at=time_of(entry, "at"),
        label=label_of(entry, "label"),
        score=score_of(entry),
        model=optional_text(entry, "model"),
        model_version=optional_text(entry, "model_version"),
        sample=sample,
    )
    return content, review
