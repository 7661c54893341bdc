"""The log of the host and the app's functions: one line per event on stderr, with its invocation."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

from inference.errors import printable
from tools.devhost.invoker import CURRENT

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}


def configure_logging(levels: Mapping[str, str]) -> None:
    """Send every log record of this process to stderr, filtered by ``logging.logLevel`` of ``host.json``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    handler.addFilter(_CategoryFilter(levels))
    logging.basicConfig(level=logging.DEBUG, handlers=[handler], force=True)
    for chatty in ("azure", "urllib3", "asyncio", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # It warns of every answer it cannot read, in addition to the error that we report.
    logging.getLogger("azure.storage").setLevel(logging.ERROR)


class _CategoryFilter(logging.Filter):
    """The most specific category wins, ``Function.<name>`` for a function's own records, ``Host`` for ours."""

    def __init__(self, levels: Mapping[str, str]) -> None:
        super().__init__()
        self._levels = {
            category.lower(): _LEVELS[level.lower()] for category, level in levels.items() if level.lower() in _LEVELS
        }

    def filter(self, record: logging.LogRecord) -> bool:
        invocation = CURRENT.get()
        category = f"function.{invocation.function}.user".lower() if invocation else "host"
        while category not in self._levels and category:
            category = category.rpartition(".")[0]
        return record.levelno >= self._levels.get(category, self._levels.get("default", logging.INFO))


class _Formatter(logging.Formatter):
    """``time LEVEL [function invocation] text``, with control characters escaped.

    Lines after a line break are indented: no text can forge a line, nor steer the terminal or turn its direction.
    """

    def format(self, record: logging.LogRecord) -> str:
        invocation = CURRENT.get()
        who = f"[{invocation.function} {invocation.id[:8]}] " if invocation else ""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        text = "\n    ".join(printable(line) for line in super().format(record).split("\n"))
        return f"{moment}.{record.msecs:03.0f}Z {record.levelname:<7} {who}{text}"
