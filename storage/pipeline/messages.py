"""Messages on ``classify-requests``: the blobs to classify, sent by backfill, retries and reconciliation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from storage.results.record import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

QUEUE = "classify-requests"
POISON_QUEUE = f"{QUEUE}-poison"
BLOB_POISON_QUEUE = "webjobs-blobtrigger-poison"  # the host's name for it, one per storage account

_MAX_BLOBS = 32  # at a second or two per blob, a message takes far less than the function's ten minutes
_MAX_TEXT_BYTES = 40 * 1024  # a queue message holds 64 KiB, and Base64 turns three bytes into four


@dataclass(frozen=True, slots=True)
class Request:
    """One message.

    Attributes:
        container: The container of the blobs.
        blobs: Their names, at least one.
        attempt: How many delayed attempts there were before this one, from 0.
        redo_before: Outcomes older than this do not count as done; aware UTC.
    """

    container: str
    blobs: tuple[str, ...]
    attempt: int = 0
    redo_before: datetime | None = None

    @property
    def images(self) -> tuple[Image, ...]:
        """The blobs as images."""
        return tuple(Image(self.container, blob) for blob in self.blobs)

    def to_json(self) -> str:
        """The message's text."""
        message: dict[str, Any] = {"container": self.container, "blobs": self.blobs}
        if self.attempt:
            message["attempt"] = self.attempt
        if self.redo_before:
            message["redo_before"] = self.redo_before.isoformat()
        return json.dumps(message, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Request:
        """Read a message. Unknown fields are ignored.

        Raises:
            ValueError: The message does not have the form ``{"container": "...", "blobs": ["...", ...]}``.
        """
        message = json.loads(text)
        if not isinstance(message, dict):
            raise ValueError("a request must be a JSON object")  # noqa: TRY004 - one class for every malformed message
        container, blobs = message.get("container"), message.get("blobs")
        if not isinstance(container, str) or not container:
            raise ValueError('a request must have "container", the name of a container')
        if not isinstance(blobs, list) or not blobs or not all(isinstance(blob, str) and blob for blob in blobs):
            raise ValueError('a request must have "blobs", a list of blob names')
        redo_before = message.get("redo_before")
        return cls(
            container,
            tuple(blobs),
            int(message.get("attempt", 0)),
            datetime.fromisoformat(redo_before) if redo_before else None,
        )


def batches(container: str, blobs: Iterable[str], *, redo_before: datetime | None = None) -> Iterator[Request]:
    """Yield requests for these blob names in their order: at most 32 names and 40 KiB of text each."""
    batch: list[str] = []
    room = _MAX_TEXT_BYTES
    for blob in blobs:
        size = len(json.dumps(blob, ensure_ascii=False).encode()) + len(", ")
        if batch and (len(batch) == _MAX_BLOBS or size > room):
            yield Request(container, tuple(batch), redo_before=redo_before)
            batch, room = [], _MAX_TEXT_BYTES
        batch.append(blob)
        room -= size
    if batch:
        yield Request(container, tuple(batch), redo_before=redo_before)


def from_blob_poison(text: str | bytes) -> Request:
    """Read a message of the host's blob poison queue: the blob trigger's own message, which gives no reason.

    Raises:
        ValueError: The message does not name a container and a blob.
    """
    message = json.loads(text)
    if not isinstance(message, dict):
        raise ValueError("a poisoned blob message must be a JSON object")  # noqa: TRY004 - as above
    container, blob = message.get("ContainerName"), message.get("BlobName")
    if not (isinstance(container, str) and container and isinstance(blob, str) and blob):
        raise ValueError('a poisoned blob message must have "ContainerName" and "BlobName"')
    return Request(container, (blob,))
