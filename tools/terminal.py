"""Text from anywhere, made safe to print."""

from __future__ import annotations


def printable(text: str) -> str:
    """Escape what could move a terminal's cursor or has no character: names of blobs and files are anybody's."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
