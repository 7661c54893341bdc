"""Times in file names."""

from __future__ import annotations

import pytest

from inference.capture.name_pattern import NamePattern

PLAIN = "%Y%m%d_%H%M%S"


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        (PLAIN, "site-a/IMG_20240506_070809.jpg", "2024-05-06T07:08:09"),
        (PLAIN, "20240506_070809(1).JPG", "2024-05-06T07:08:09"),
        (PLAIN, "20230101_000000/cat.jpg", None),  # the folder does not count
        (PLAIN, "IMG_20241306_070809.jpg", None),
        (PLAIN, "IMG_20240506_0708.jpg", None),
        (PLAIN, "99920240506_070809.jpg", "2024-05-06T07:08:09"),
        (PLAIN, "20000101_000000 20240506_070809.jpg", "2024-05-06T07:08:09"),
        (PLAIN, "29990101_101010.jpg", None),
        ("%Y-%m-%d %H-%M-%S", "RCNX 2024-05-06 07-08-09 M 1_3.jpg", "2024-05-06T07:08:09"),
        ("%d%b%Y-%I.%M%p", "06May2024-07.08PM.png", "2024-05-06T19:08:00"),
        ("%y%j%H%M%S", "c24127070809.jpg", "2024-05-06T07:08:09"),
        ("%Y%m%dT%H%M%S.%f%z", "20240506T070809.25+0200.jpg", "2024-05-06T07:08:09.250+02:00"),
        ("100%%_%Y%m%d%H%M", "100%_202405060708.jpg", "2024-05-06T07:08:00"),
        ("[%Y.%m.%d](%H.%M)", "[2024.05.06](07.08).jpg", "2024-05-06T07:08:00"),
    ],
)
def test_a_time_is_found_anywhere_in_the_name(pattern: str, name: str, expected: str | None) -> None:
    assert NamePattern(pattern).find(name) == expected


@pytest.mark.parametrize(
    "pattern",
    ["", "%Y%m%d", "%H%M%S", "IMG", "%Y%m%d_%I%M", "%Y%m%d_%H%M%Q", "%Y%m%d_%H%M%", "%Y%Y%m%d%H%M", "%Y/%m/%d/%H%M"],
)
def test_a_format_without_a_whole_time_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        NamePattern(pattern)
