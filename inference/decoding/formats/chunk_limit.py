"""Bounds how many chunks, segments or boxes of one file a parser visits."""

from __future__ import annotations

from inference.errors import PermanentError, Reason


class ChunkLimit:
    """Counts the parts of one file, and refuses the file at the limit."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._limit = limit

    def count(self, more: int = 1) -> None:
        """Count ``more`` parts.

        Raises:
            PermanentError: ``too_many_frames``: the file has more parts than the limit.
        """
        self._left -= more
        if self._left < 0:
            raise PermanentError(
                Reason.TOO_MANY_FRAMES, f"The file is made of more than {self._limit:,} chunks, which is the limit."
            )
