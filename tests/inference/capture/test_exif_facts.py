"""Capture facts of real containers: Pillow writes the EXIF blocks, and every format gives the same facts."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, TiffImagePlugin

from inference.capture.exif_facts import MAX_TEXT_LENGTH, read_capture_facts
from inference.decoding.header import read_header
from inference.limits import Limits
from inference.predictions import CaptureFacts

IMAGE, SHOT, GPS = 0, 0x8769, 0x8825
TAKEN = {SHOT: {0x9003: "2019:05:05 14:36:12"}}


def block(tags: dict[int, dict[int, Any]]) -> bytes:
    """An EXIF block with these tags in its directories."""
    exif = Image.Exif()
    exif.update(tags.get(IMAGE, {}))
    for directory in (SHOT, GPS):
        if directory in tags:
            exif.get_ifd(directory).update(tags[directory])
            exif[directory] = tags[directory]
    return exif.tobytes()


def facts(tags: dict[int, dict[int, Any]]) -> CaptureFacts:
    """The facts of a block, none of them where there are none."""
    return read_capture_facts(block(tags)) or CaptureFacts()


def shot(**changes: Any) -> CaptureFacts:
    """The facts of a block that states a time, and other tags of the shot."""
    return facts({SHOT: TAKEN[SHOT] | {int(tag[1:], 16): value for tag, value in changes.items()}})


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_every_format_gives_its_facts(kind: str) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    tags = {IMAGE: {0x010F: "RECONYX", 0x0110: "HYPERFIRE 2"}} | TAKEN
    file = BytesIO()
    Image.new("RGB", (64, 48), "green").save(file, kind, exif=block(tags))
    info = read_header(file.getvalue(), Limits()).info
    assert info.capture == CaptureFacts("2019-05-05T14:36:12", "RECONYX", "HYPERFIRE 2")


def test_an_image_without_exif_has_no_facts() -> None:
    file = BytesIO()
    Image.new("RGB", (64, 48)).save(file, "JPEG")
    assert read_header(file.getvalue(), Limits()).info.capture is None


def test_fraction_and_offset_are_those_that_exif_states() -> None:
    assert shot().taken_at == "2019-05-05T14:36:12"
    assert shot(x9291="5").taken_at == "2019-05-05T14:36:12.500"
    assert shot(x9291="123456", x9011="-03:30").taken_at == "2019-05-05T14:36:12.123-03:30"
    assert shot(x9291=" x", x9011="summer").taken_at == "2019-05-05T14:36:12"
    assert shot(x9010="+02:00", x9290="9").taken_at == "2019-05-05T14:36:12"  # of another time


def test_the_time_of_digitization_counts_where_there_is_no_other_and_the_time_of_a_change_never() -> None:
    digitized = {0x9004: "2018:01:02 03:04:05", 0x9292: "25"}
    assert facts({SHOT: digitized}).taken_at == "2018-01-02T03:04:05.250"
    assert facts({SHOT: digitized | TAKEN[SHOT]}).taken_at == "2019-05-05T14:36:12"
    assert facts({SHOT: digitized | {0x9003: "0000:00:00 00:00:00"}}).taken_at == "2018-01-02T03:04:05.250"
    assert facts({IMAGE: {0x0132: "2018:01:02 03:04:05"}}) == CaptureFacts()


@pytest.mark.parametrize(
    "text",
    [
        *("1970:01:01 00:00:00", "1970:06:01 08:00:00", "1980:01:01 00:00:12", "2000:01:01 00:00:00"),
        *("2999:01:01 00:00:00", "2019:02:30 12:00:00", "2019:05:05 24:00:00", "yesterday", "2019:05:05", "9" * 19),
    ],
)
def test_an_impossible_time_is_left_out_and_named(text: str) -> None:
    found = facts({IMAGE: {0x010F: "Acme"}, SHOT: {0x9003: text}})
    assert (found.taken_at, found.impossible_time, found.camera_make) == (None, text, "Acme")


@pytest.mark.parametrize("text", ["", "    :  :     :  :  ", "0000:00:00 00:00:00"])
def test_a_blank_time_is_left_out(text: str) -> None:
    assert facts({SHOT: {0x9003: text}}).taken_at is None


def test_texts_are_one_printable_line() -> None:
    found = facts({IMAGE: {0x010F: "  Ac\x1bme\r\n ", 0x0110: "m" * 400}, SHOT: {0xA431: "7\x00secret"}})
    assert (found.camera_make, found.camera_model) == ("Ac me", "m" * MAX_TEXT_LENGTH)
    assert found.camera_serial == "7"
    assert facts({IMAGE: {0x010F: b"Caf\xe9\0"}}).camera_make == "Caf\u00e9"
    assert facts({IMAGE: {0x010F: "   "}}) == CaptureFacts()


def test_the_temperature_is_the_tag_of_the_air() -> None:
    assert shot(x9400=TiffImagePlugin.IFDRational(-15, 10)).temperature_c == -1.5
    assert shot(x9400=21.5).temperature_c == 21.5
    for numerator, denominator in ((1, 0), (5, -1), (4000, 10)):
        assert read_capture_facts(directory(0x9400, 10, struct.pack("<ii", numerator, denominator))) is None


def test_the_location_has_signs_and_both_parts() -> None:
    south_west = {1: "S", 2: (33.0, 52.0, 4.5), 3: "W", 4: (151.0, 12.0, 36.0)}
    found = facts({GPS: south_west})
    assert (found.latitude, found.longitude) == (-33.8679167, -151.21)
    for change in ({1: "X"}, {2: (91.0, 0.0, 0.0)}, {4: (151.0, 12.0)}, {9: "V"}):
        assert facts({GPS: south_west | change}) == CaptureFacts()
    assert facts({GPS: {1: "N", 2: (1.0, 2.0, 3.0)}}) == CaptureFacts()


def directory(tag: int, kind: int, data: bytes, *, items: int = 1, place: int = 44) -> bytes:
    """A block whose shot directory holds one tag, with its data behind the directory."""
    head = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHII", SHOT, 4, 1, 26) + bytes(4)
    return head + struct.pack("<HHHII", 1, tag, kind, items, place) + bytes(4) + data


def test_a_block_is_read_as_the_helper_writes_it() -> None:
    found = read_capture_facts(directory(0x9400, 10, struct.pack("<ii", -15, 10)))
    assert found is not None
    assert found.temperature_c == -1.5


HOSTILE = {
    "count beyond the block": directory(0xA431, 2, b"serial", items=2**32 - 1),
    "place beyond the block": directory(0xA431, 2, b"serial", items=6, place=2**32 - 1),
    "wrong type": directory(0xA431, 12, bytes(8)),
    "unknown type": directory(0xA431, 99, b"serial", items=6),
    "directory within itself": b"II*\0" + struct.pack("<IHHHIII", 8, 1, SHOT, 4, 1, 8, 8),
    "full directory": b"MM\0*" + struct.pack(">IH", 8, 65535) + struct.pack(">HHII", SHOT, 4, 1, 8) * 65535,
    "only a start": b"Exif\0\0II*\0",
    "no block": b"Exif\0\0garbage",
    "not bytes": 7,
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_block_gives_nothing(hostile: object) -> None:
    assert read_capture_facts(hostile) is None


@pytest.mark.parametrize(("entries", "make"), [(900, "abc"), (60_000, None)])
def test_the_entries_of_a_directory_are_bounded(entries: int, make: str | None) -> None:
    """The last entry states the make."""
    start = b"II*\0" + struct.pack("<IH", 8, entries + 1)
    found = read_capture_facts(
        start + struct.pack("<HHI4s", 0x0100, 3, 1, b"") * entries + struct.pack("<HHI4s", 0x010F, 2, 4, b"abc")
    )
    assert (found.camera_make if found else None) == make


def test_the_bytes_of_a_tag_are_bounded() -> None:
    text = b" " * 1000 + b"serial"
    assert read_capture_facts(directory(0xA431, 2, text, items=len(text))) is None


def test_a_block_that_is_cut_anywhere_gives_what_is_left() -> None:
    whole = block({IMAGE: {0x010F: "Acme"}, SHOT: TAKEN[SHOT] | {0x9400: 3.5}, GPS: {1: "N", 2: (1.0, 2.0, 3.0)}})
    expected = read_capture_facts(whole)
    assert expected is not None
    for length in range(len(whole)):
        found = read_capture_facts(whole[:length])
        assert found is None or all(value in (None, stated) for value, stated in zip(found, expected, strict=True))
