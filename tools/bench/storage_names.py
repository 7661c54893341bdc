"""What is where in the emulator during a bench."""

from __future__ import annotations

INCOMING = "incoming"
RESULTS = "results"
TABLE = "classifications"
MODELS = "models"


def folder(photo: str) -> str:
    """The folder of one kind of photo in the incoming container."""
    return photo.replace(" ", "-").lower()


def blob_names(photo: str, count: int) -> list[str]:
    """The blobs of one kind of photo."""
    return [f"{folder(photo)}/{number:04}.jpg" for number in range(count)]
