"""Adds to a record when, by which camera and where its photo was taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.capture.name_pattern import NamePattern
    from inference.predictions import CaptureFacts
    from storage.results.record import Record

FROM_EXIF, FROM_FILE_NAME = "exif", "file_name"
"""The values of ``taken_from``."""


@dataclass(frozen=True, slots=True)
class CaptureRules:
    """Which capture facts are kept.

    Attributes:
        time_in_name: Returns ``taken_at`` from a blob name, for a photo whose EXIF block states none.
        keep_location: Whether latitude and longitude are kept.
    """

    time_in_name: Callable[[str], str | None] = lambda _blob_name: None
    keep_location: bool = False

    def add(self, record: Record, facts: CaptureFacts | None) -> Record:
        """Return the record with the facts that are kept."""
        taken_at, taken_from = facts.taken_at if facts else None, FROM_EXIF
        if taken_at is None:
            taken_at, taken_from = self.time_in_name(record.blob_name), FROM_FILE_NAME
        record = replace(record, taken_at=taken_at, taken_from=taken_from if taken_at else None)
        if facts is None:
            return record
        return replace(
            record,
            camera_make=facts.camera_make,
            camera_model=facts.camera_model,
            camera_serial=facts.camera_serial,
            temperature_c=facts.temperature_c,
            latitude=facts.latitude if self.keep_location else None,
            longitude=facts.longitude if self.keep_location else None,
        )


def capture_rules(pattern: NamePattern | None, *, keep_location: bool) -> CaptureRules:
    """The rules of the settings ``TAKEN_AT_FROM_NAME`` and ``KEEP_LOCATION``."""
    if pattern is None:
        return CaptureRules(keep_location=keep_location)
    return CaptureRules(pattern.find, keep_location)
