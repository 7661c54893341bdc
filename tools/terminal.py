"""What a terminal is shown: names from anywhere made safe to print, and no log lines in between."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def printable(text: str) -> str:
    """Escape what could move a terminal's cursor or has no character: names of blobs and files are anybody's."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


@contextmanager
def quiet_loggers(*names: str) -> Iterator[None]:
    """Let these loggers say nothing for the length of a block: what they would say, the command itself tells."""
    before = [(logger, logger.level) for logger in map(logging.getLogger, names)]
    for logger, _ in before:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
