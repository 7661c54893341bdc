"""Maker notes of Reconyx cameras, laid out as Reconyx publishes them."""

from __future__ import annotations

import pytest

from inference.capture.maker_notes import MakerNote, read_maker_note


def note(start: bytes, celsius_at: int, serial_at: int, serial: bytes) -> bytes:
    """A note of 256 bytes."""
    made = bytearray(256)
    made[: len(start)] = start
    made[celsius_at : celsius_at + 2] = (-7).to_bytes(2, "little", signed=True)
    made[serial_at : serial_at + len(serial)] = serial
    return bytes(made)


WIDE = "H500HD12345678".encode("utf-16-le")
NOTES = {
    "HyperFire": note(b"\x01\xf1\x03\0", 40, 42, WIDE),
    "HyperFire 2": note(b"RECONYXH2\0", 80, 126, WIDE),
    "UltraFire": note(b"RECONYXUF\0", 70, 75, b"H500HD12345678\0"),
}


@pytest.mark.parametrize("made", NOTES.values(), ids=NOTES.keys())
def test_a_reconyx_note_states_serial_number_and_temperature(made: bytes) -> None:
    assert read_maker_note(made, "RECONYX") == MakerNote("H500HD12345678", -7.0)


def test_an_old_hyperfire_is_known_by_its_make() -> None:
    old = note(b"\x01\xf1\x01\0", 40, 42, WIDE)
    assert read_maker_note(old, "RECONYX").temperature_c == -7.0
    assert read_maker_note(old, "Acme") == MakerNote()


@pytest.mark.parametrize("made", [b"", b"RECONYX", b"Nikon\0" + bytes(200)])
def test_another_note_states_nothing(made: bytes) -> None:
    assert read_maker_note(made, "Acme") == MakerNote()


@pytest.mark.parametrize("made", NOTES.values(), ids=NOTES.keys())
def test_a_cut_note_raises_nothing(made: bytes) -> None:
    for length in range(len(made)):
        assert read_maker_note(made[:length], "RECONYX").temperature_c in (None, -7.0)
