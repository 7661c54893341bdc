"""Text that is safe to print, and loggers that stay quiet while a command prints."""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from inference.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_NARROWEST = 20  # columns

__all__ = ["end_of", "fitted", "printable", "quiet_loggers"]


def fitted(text: str, stream: TextIO | None = None) -> str:
    """Break a line between words where it is wider than the terminal; lines after the first are indented.

    Args:
        text: One line.
        stream: Where it is printed, by default stdout. A file or pipe gets the line as it is.
    """
    stream = stream or sys.stdout
    if not stream.isatty():
        return text
    width = max(shutil.get_terminal_size().columns, _NARROWEST)
    return textwrap.fill(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def end_of(text: str, cells: int) -> str:
    """Return the end of a text that is wider than this many terminal cells; a wide character takes two."""
    from rich.cells import cell_len  # here, because `classify`, whose start is measured, does without it

    if cell_len(text) <= cells:
        return text
    text = text[-cells:]
    while cell_len(text) > cells - 1:
        text = text[1:]
    return f"…{text}"


@contextmanager
def quiet_loggers(*names: str) -> Iterator[None]:
    """Silence these loggers for the length of a block, where the command reports the same events itself."""
    before = [(logger, logger.level) for logger in map(logging.getLogger, names)]
    for logger, _ in before:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
