"""Values of a file that people or programs wrote: each is checked before it reaches a table."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError
from storage.etags import bare_etag
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_FILE_BYTES = 256 * 1024 * 1024
"""A review takes about 250 bytes of a file, so this is a million of them."""
MAX_TEXT = 1024
"""UTF-16 units of a name or label; a blob's name has no more."""
_OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)  # clocks differ, and a time far ahead would keep out every later review


class EntryError(ValueError):
    """One review of a file cannot be used. The text completes "Review 3 is refused: ..."."""

    def at(self, place: str, entry: object) -> EntryError:
        """The same error as a sentence that names the review."""
        name = entry.get("blob_name") if isinstance(entry, dict) else None
        image = f" ({printable(name)})" if isinstance(name, str) and 0 < len(name) <= MAX_TEXT else ""
        return EntryError(f"{place}{image} is refused: {self}.")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ConfigurationError: It cannot be read, is too large or too deep, or is no JSON.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{printable(str(path))} cannot be read: {error.strerror}.") from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError(
            f"{printable(str(path))} has more than {MAX_FILE_BYTES // 2**20} MiB: split it, or export fewer tasks."
        )
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigurationError(f"{printable(str(path))} is no JSON file: {reason}.") from None


def text_of(entry: Mapping[str, Any], name: str) -> str:
    """A text of 1 to ``MAX_TEXT`` units.

    Raises:
        EntryError: It is missing, is no text, or cannot be stored.
    """
    value = entry.get(name)
    if value is None:
        raise EntryError(f"it has no {name}")
    return _checked_text(value, name)


def optional_text(entry: Mapping[str, Any], name: str) -> str | None:
    """The same, or ``None`` where the value is absent or ``null``."""
    value = entry.get(name)
    return None if value is None else _checked_text(value, name)


def label_of(entry: Mapping[str, Any], name: str) -> str | None:
    """A label; ``None`` where the value is absent or ``null``."""
    label = optional_text(entry, name)
    if label is not None and not label.strip():
        raise EntryError(f"its {name} is blank; null means unsure")
    return label


def etag_of(entry: Mapping[str, Any]) -> str:
    """An ETag without its quotes."""
    etag = bare_etag(text_of(entry, "etag"))
    if not etag:
        raise EntryError("its etag is empty")
    return etag


def score_of(entry: Mapping[str, Any]) -> float | None:
    """A score in [0, 1]; ``None`` where it is absent or ``null``."""
    value = entry.get("score")
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1 or not math.isfinite(value):
        raise EntryError("its score is no number from 0 to 1")
    return float(value)


def time_of(entry: Mapping[str, Any], name: str) -> datetime:
    """An aware UTC time from 1970 to a day from now."""
    text = text_of(entry, name)
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise EntryError(f"its {name} {text!r:.60} has no time zone: write 2026-11-29T12:00:00Z")
        time = time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        if isinstance(error, EntryError):
            raise
        raise EntryError(f"its {name} {text!r:.60} is no time: write 2026-11-29T12:00:00Z") from None
    if not _OLDEST <= time <= datetime.now(UTC) + _AHEAD:
        raise EntryError(f"its {name} {text!r:.60} is before 1970 or in the future")
    return time


def _checked_text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise EntryError(f"its {name} is no text")
    try:
        units = len(value.encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        raise EntryError(f"its {name} holds half a character (a lone surrogate)") from None
    if not units:
        raise EntryError(f"its {name} is empty")
    if units > MAX_TEXT:
        raise EntryError(f"its {name} has {units:,} characters: at most {MAX_TEXT:,} are accepted")
    return value
