"""Derives table keys from the documented rules, independently of ``storage``."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.chaos.check_result import Document


def row_keys(container: str, name: str) -> tuple[str, str]:
    """Return the PartitionKey, container and folders joined by ``|``, and the RowKey, the file name."""
    parts = [_escaped(part) for part in f"{container}/{name}".split("/")]
    return "|".join(parts[:-1]), parts[-1]


def index_keys(row: Document) -> Iterable[tuple[str, str]]:
    """Yield the keys of a row's index rows: by status, by label and by time of capture if known; newest first."""
    moment: datetime = row["classified_at"].astimezone(UTC)
    image = hashlib.sha256(f"{row['container']}/{row['blob_name']}".encode()).hexdigest()[:32]
    for kind in ("status", "label"):
        if row.get(kind) is not None:
            yield f"{kind}|{_escaped(row[kind])}|{_day(moment)}", f"{_time(moment)}|{image}"
    if row.get("taken_at") is not None:
        taken = datetime.fromisoformat(row["taken_at"]).replace(tzinfo=UTC)
        yield f"taken||{_day(taken)}", f"{_time(taken)}|{image}"


def _day(moment: datetime) -> str:
    return f"{99_999_999 - int(f'{moment:%Y%m%d}'):08}"


def _time(moment: datetime) -> str:
    microseconds = round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    return f"{10**18 - 1 - microseconds:018}"


def _escaped(text: str) -> str:
    """Escape characters that keys cannot contain as ``=`` and two hexadecimal digits per UTF-8 byte."""
    return "".join(
        "".join(f"={byte:02X}" for byte in letter.encode())
        if letter in "/\\#?%|='" or ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0
        else letter
        for letter in text
    )
