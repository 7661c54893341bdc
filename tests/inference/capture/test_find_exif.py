"""The EXIF block is found by reading ranges, at any place, in a bounded number of them."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from inference.capture.exif_facts import read_capture_facts
from inference.capture.find_exif import MAX_RANGES, RANGE_BYTES, find_exif
from tests.inference.capture.test_exif_facts import TAKEN, block

COMMENT = b"\xff\xfe\xff\xff" + bytes(65533)


class File:
    """Bytes that are read by range, and the ranges."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.ranges: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        self.ranges.append((offset, length))
        return self.content[offset : offset + length]

    def taken_at(self) -> str | None:
        facts = read_capture_facts(find_exif(self.read))
        return facts.taken_at if facts else None


def photo(kind: str, *, exif: bytes = b"", side: int = 400) -> bytes:
    """A photo of noise, so that its pixels take many bytes."""
    file = BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(file, kind, quality=95, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "ranges"), [("JPEG", 1), ("PNG", 1), ("WEBP", 2)])
def test_the_block_is_found_without_the_pixels(kind: str, ranges: int) -> None:
    file = File(photo(kind, exif=block(TAKEN)))
    assert len(file.content) > RANGE_BYTES
    assert file.taken_at() == "2019-05-05T14:36:12"
    assert len(file.ranges) == ranges


def test_a_block_behind_large_segments_is_found() -> None:
    content = photo("JPEG", exif=block(TAKEN))
    file = File(content[:2] + 3 * COMMENT + content[2:])
    assert file.taken_at() == "2019-05-05T14:36:12"
    assert 1 < len(file.ranges) <= MAX_RANGES


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_without_a_block_costs_a_bounded_number_of_ranges(kind: str) -> None:
    file = File(photo(kind))
    assert file.taken_at() is None
    assert len(file.ranges) <= MAX_RANGES


def test_a_file_of_segments_without_end_is_given_up() -> None:
    file = File(b"\xff\xd8" + 100 * COMMENT)
    assert file.taken_at() is None
    assert len(file.ranges) == MAX_RANGES


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_cut_file_raises_nothing(kind: str) -> None:
    content = photo(kind, exif=block(TAKEN), side=8)
    for length in range(len(content)):
        assert File(content[:length]).taken_at() in (None, "2019-05-05T14:36:12")
