"""Messages on the queue of requests: the blobs to classify, sent by backfill, retries, reconciliation and people.

A message is a JSON object, as it is or in Base64. docs/adr/0016-message-encoding.md gives the reasons.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeGuard

from inference.errors import ConfigurationError
from storage.results.record import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOB_POISON_QUEUE = "webjobs-blobtrigger-poison"  # the host's name for it, one per storage account

MAX_BLOBS = 32  # at a second or two per blob, a message takes far less than the function's ten minutes
_MAX_TEXT_BYTES = 40 * 1024  # a queue message holds 64 KiB, and Base64 turns three bytes into four
_MAX_NAME = 1024  # characters of a blob name, a limit of Azure Storage
_MAX_ATTEMPT = 1000


@dataclass(frozen=True, slots=True)
class Queues:
    """The names of one app's queues. Apps on one account have different ones; ``BLOB_POISON_QUEUE`` is for all.

    Attributes:
        requests: The setting ``REQUESTS_QUEUE``.
    """

    requests: str = "classify-requests"

    @property
    def poison(self) -> str:
        """The host's name for the poison queue of ``requests``."""
        return f"{self.requests}-poison"

    @property
    def refused(self) -> str:
        """Messages that cannot be processed. No function reads it, so they stay visible."""
        return f"{self.requests}-refused"


QUEUE, POISON_QUEUE, REFUSED_QUEUE = Queues().requests, Queues().poison, Queues().refused
"""The names by default."""


class MessageError(ConfigurationError):
    """A message that can never be processed. The text completes the sentence "The message is refused: ..."."""


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
    def from_body(cls, body: str | bytes) -> Request:
        """Read a message: JSON, or Base64 of JSON. Unknown fields are ignored.

        Raises:
            MessageError: The message does not have the form ``{"container": "...", "blobs": ["...", ...]}``.
        """
        message = _json_object(body)
        container, blobs = message.get("container"), message.get("blobs")
        if not _is_name(container):
            raise MessageError('it has no "container", the name of a container')
        if not isinstance(blobs, list) or not blobs or not all(map(_is_name, blobs)):
            raise MessageError(f'it has no "blobs", a list of blob names of at most {_MAX_NAME:,} characters')
        attempt = message.get("attempt", 0)
        if not isinstance(attempt, int) or isinstance(attempt, bool) or not 0 <= attempt <= _MAX_ATTEMPT:
            raise MessageError(f'its "attempt" is not a whole number from 0 to {_MAX_ATTEMPT:,}')
        return cls(container, tuple(blobs), attempt, _time(message.get("redo_before")))

    def foreign_to(self, container: str) -> str | None:
        """Why the request is not one for the images of ``container``; ``None`` if it is."""
        if self.container == container:
            return None
        return f"it names the container {self.container!r}, but INCOMING_CONTAINER is {container!r}"

    def one_by_one(self) -> Iterator[Request]:
        """Yield a request for each image: one that ends the worker then takes no other image with it."""
        for blob in self.blobs:
            yield replace(self, blobs=(blob,))

    def parts(self) -> Iterator[Request]:
        """Yield the request in parts of at most 32 names and 40 KiB, in the order of the names."""
        for part in batches(self.container, self.blobs, redo_before=self.redo_before):
            yield replace(part, attempt=self.attempt)


def batches(container: str, blobs: Iterable[str], *, redo_before: datetime | None = None) -> Iterator[Request]:
    """Yield requests for these blob names in their order: at most 32 names and 40 KiB of text each."""
    batch: list[str] = []
    room = _MAX_TEXT_BYTES
    for blob in blobs:
        size = len(json.dumps(blob, ensure_ascii=False).encode()) + len(", ")
        if batch and (len(batch) == MAX_BLOBS or size > room):
            yield Request(container, tuple(batch), redo_before=redo_before)
            batch, room = [], _MAX_TEXT_BYTES
        batch.append(blob)
        room -= size
    if batch:
        yield Request(container, tuple(batch), redo_before=redo_before)


def from_blob_poison(body: str | bytes) -> Request:
    """Read a message of the host's blob poison queue: the blob trigger's own message, which gives no reason.

    Raises:
        MessageError: The message does not name a container and a blob.
    """
    message = _json_object(body)
    container, blob = message.get("ContainerName"), message.get("BlobName")
    if not (_is_name(container) and _is_name(blob)):
        raise MessageError('it has no "ContainerName" and "BlobName"')
    return Request(container, (blob,))


def _json_object(body: str | bytes) -> dict[str, Any]:
    """Return the JSON object of a message. Text that is not JSON is read as Base64 of JSON."""
    text = _text(body, "it is not UTF-8 text").strip()
    if not text:
        raise MessageError("it is empty")
    try:
        document = _parse(text)
    except MessageError as error:
        try:
            decoded = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise MessageError(f"its text is neither JSON ({error}) nor Base64") from None
        try:
            document = _parse(_text(decoded, "it is not UTF-8 text"))
        except MessageError as inner:
            raise MessageError(f"its text is Base64, but its content cannot be read ({inner})") from None
    if not isinstance(document, dict):
        raise MessageError("it is JSON, but not an object")
    return document


def _text(body: str | bytes, refusal: str) -> str:
    try:
        return body if isinstance(body, str) else body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MessageError(refusal) from None


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise MessageError(f"{error.msg}, at character {error.pos + 1:,}") from None
    except (ValueError, RecursionError):
        raise MessageError("a number is too long, or brackets are nested too deeply") from None


def _is_name(value: object) -> TypeGuard[str]:
    """Whether a value can be the name of a blob or container; a lone surrogate has no UTF-8 form."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise MessageError('its "redo_before" is not a time in ISO 8601 with a time zone')
    return time
