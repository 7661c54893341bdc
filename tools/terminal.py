"""Text that is safe to print, and loggers that stay quiet while a command prints."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from inference.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["printable", "quiet_loggers"]


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
