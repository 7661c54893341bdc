"""What the walks share: a count of the parts of one file that refuses at the limit, and the two verdicts."""

from __future__ import annotations

from inference.errors import PermanentError, Reason


class Pieces:
    """Counts the parts of one file."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._limit = limit

    def count(self, more: int = 1) -> None:
        """Count ``more`` parts.

        Raises:
            PermanentError: ``too_many_frames``: there are more than the limit.
        """
        self._left -= more
        if self._left < 0:
            raise PermanentError(
                Reason.TOO_MANY_FRAMES, f"The file is made of more than {self._limit:,} chunks, the limit."
            )


def truncated(content: bytes, why: str) -> PermanentError:
    """Say that the file ends before it should."""
    return PermanentError(Reason.TRUNCATED, f"The file ends too early, after {len(content):,} bytes: {why}.")


def corrupt(why: str) -> PermanentError:
    """Say that the file contradicts itself."""
    return PermanentError(Reason.CORRUPT, f"The file is damaged: {why}.")


def printable(kind: bytes) -> str:
    """Name a chunk or box in a sentence, whatever its four bytes are."""
    return kind.decode("ascii", "replace") if kind.isalnum() else "nameless"
