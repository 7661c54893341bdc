"""The error classes. A class names the cause of a failure and decides how the callers continue.

    ClassificationError
    |-- PermanentError      the image: it can never be classified. One ``rejected`` row, no retry.
    |-- TransientError      the surroundings: throttled, timed out, dropped. Raised, and the host delivers again.
    `-- ConfigurationError  the deployment: a person must act. Raised, never written as the result of an image.
        `-- ModelError      the model folder: missing, broken or incomplete.
            `-- ModelFileError  one of its files: missing or not readable. Its content may be right.

A blob that was deleted, or replaced since it was read, is not an error: the work on it stops.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.predictions import ImageInfo


class Reason(StrEnum):
    """Why an image was rejected. The codes are stable, because queries filter on them."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    CORRUPT = "corrupt"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_FRAMES = "too_many_frames"
    DECOMPRESSION_BOMB = "decompression_bomb"


DAMAGE = frozenset({Reason.TRUNCATED, Reason.DAMAGED, Reason.CORRUPT})
"""The reasons of a picture of which a part may be good."""


class ClassificationError(Exception):
    """Base class of every error that this product raises on purpose."""


class PermanentError(ClassificationError):
    """The image is at fault: a retry gives the same error.

    Attributes:
        reason: The stable code that is written to the row.
        detail: One sentence for a person, with the image's own numbers.
        image: Size and format when the header states them, else ``None``.
    """

    def __init__(self, reason: Reason, detail: str, image: ImageInfo | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.image = image


class TransientError(ClassificationError):
    """A passing condition is at fault (throttling, 408/429/5xx, a dropped connection): a later retry may succeed."""


class ConfigurationError(ClassificationError):
    """The deployment is at fault (401/403, a missing setting, an unreadable model): a person must correct it."""


class ModelError(ConfigurationError):
    """The model folder cannot be used. The message is one sentence: the problem, the file, and what to do."""


class ModelFileError(ModelError):
    """A file of the model is missing or may not be read. The same model can be used when a person has corrected that.

    Every other ``ModelError`` is about content: the same files are refused again.
    """


def printable(text: str) -> str:
    """Text for a log line, an error or a terminal. A character that could begin a line or move a cursor is escaped.

    Names of blobs and files can hold any character, so every sentence that quotes one passes it through here.
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
