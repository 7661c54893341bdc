"""Whose fault is it? Every failure of this product has exactly one class, and the class decides what happens next.

    ClassificationError
    |-- PermanentError      the image: it can never be classified. One ``rejected`` row, no retry.
    |-- TransientError      the world: throttled, timed out, dropped. Raised, so that the host delivers again.
    `-- ConfigurationError  the deployment: a person must act. Raised, never written as a verdict on an image.
        `-- ModelError      the model folder: missing, broken, or saying too little about itself.

A blob that is gone, or newer than what was read, is no error at all: the work simply stops.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.predictions import ImageInfo


class Reason(StrEnum):
    """Why an image was rejected. The codes are stable: people filter on them."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_FRAMES = "too_many_frames"
    DECOMPRESSION_BOMB = "decompression_bomb"


class ClassificationError(Exception):
    """Base of every error this product raises on purpose."""


class PermanentError(ClassificationError):
    """This image is at fault and always will be.

    Attributes:
        reason: The stable code that is written to the row.
        detail: One sentence for a person: what is wrong with the image, in its own numbers.
        image: Size and format as far as the header told them, else ``None``.
    """

    def __init__(self, reason: Reason, detail: str, image: ImageInfo | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.image = image


class TransientError(ClassificationError):
    """The world is at fault (throttling, 408/429/5xx, a dropped connection): trying again later is right."""


class ConfigurationError(ClassificationError):
    """The deployment is at fault (401/403, a missing setting, an unreadable model): a person must act."""


class ModelError(ConfigurationError):
    """The model folder cannot be used. The message is one sentence: the fact, where it was looked for, the way out."""
