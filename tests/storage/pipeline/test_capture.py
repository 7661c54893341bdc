"""The capture facts in the record."""

from __future__ import annotations

import pytest

from inference.capture.name_pattern import NamePattern
from inference.predictions import CaptureFacts
from storage.errors import SettingsError
from storage.pipeline.capture import capture_rules
from storage.settings import Settings
from tests.storage.samples import record

FACTS = CaptureFacts("2019-05-05T14:36:12", "RECONYX", "HF2", "H2", -1.5, -33.75, 151.125)
PATTERN = NamePattern("%Y%m%d_%H%M%S")
ENVIRON = {"ImageStorage": "UseDevelopmentStorage=true"}


def test_facts_of_exif_win_and_the_location_stays_out() -> None:
    made = capture_rules(PATTERN, keep_location=False).add(record("a/20240506_070809.jpg"), FACTS)
    assert (made.taken_at, made.taken_from) == ("2019-05-05T14:36:12", "exif")
    assert (made.camera_make, made.camera_model, made.camera_serial) == ("RECONYX", "HF2", "H2")
    assert (made.temperature_c, made.latitude, made.longitude) == (-1.5, None, None)


def test_the_location_is_kept_where_a_person_asks_for_it() -> None:
    made = capture_rules(None, keep_location=True).add(record(), FACTS)
    assert (made.latitude, made.longitude) == (-33.75, 151.125)


@pytest.mark.parametrize("facts", [None, CaptureFacts(impossible_time="1970:01:01 00:00:00")])
def test_the_name_counts_where_exif_states_no_time(facts: CaptureFacts | None) -> None:
    made = capture_rules(PATTERN, keep_location=False).add(record("a/20240506_070809.jpg"), facts)
    assert (made.taken_at, made.taken_from) == ("2024-05-06T07:08:09", "file_name")
    unnamed = capture_rules(PATTERN, keep_location=False).add(record("a/cat.jpg"), facts)
    assert (unnamed.taken_at, unnamed.taken_from) == (None, None)
    assert capture_rules(None, keep_location=False).add(record("a/20240506_070809.jpg"), facts).taken_at is None


def test_the_settings_are_off_and_a_wrong_one_is_refused_by_name() -> None:
    settings = Settings.from_environ(ENVIRON)
    assert (settings.taken_at_from_name, settings.keep_location) == (None, False)
    with pytest.raises(SettingsError, match="TAKEN_AT_FROM_NAME must be a strptime format"):
        Settings.from_environ(ENVIRON | {"TAKEN_AT_FROM_NAME": "%Y%m%d"})
    with pytest.raises(SettingsError, match="KEEP_LOCATION must be yes or no"):
        Settings.from_environ(ENVIRON | {"KEEP_LOCATION": "maybe"})
