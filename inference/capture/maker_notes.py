"""Serial number and temperature in the maker notes of Reconyx cameras.

The layouts are Reconyx's own (RCNX_MN10.pdf, ultrafire_makernote.pdf), as ExifTool's ``Image::ExifTool::Reconyx`` lists
them. The structures are little endian in blocks of either byte order. Bushnell and Browning publish no layout.
"""

from __future__ import annotations

import struct
from typing import NamedTuple


class _Layout(NamedTuple):
    """Where a kind of camera writes; offsets and lengths are bytes."""

    celsius: int  # 16-bit, signed
    serial: int
    serial_bytes: int
    encoding: str


_HYPERFIRE = _Layout(0x14 * 2, 0x15 * 2, 30, "utf-16-le")
_BY_START = {
    b"RECONYXUF\0": _Layout(0x46, 0x4B, 15, "latin-1"),
    b"RECONYXH2\0": _Layout(0x50, 0x7E, 30, "utf-16-le"),
}
_HYPERFIRE_STARTS = (b"\x01\xf1\x02\0", b"\x01\xf1\x03\0")  # version, and the firmware's major number
_HYPERFIRE_ANY = b"\x01\xf1"


class MakerNote(NamedTuple):
    """What a maker note states: the serial number as written, and the temperature in degrees Celsius."""

    serial: str = ""
    temperature_c: float | None = None


def read_maker_note(note: bytes, make: str) -> MakerNote:
    """Read the first bytes of a maker note; one of another make, or a short one, states nothing."""
    layout = _BY_START.get(note[:10])
    if note.startswith(_HYPERFIRE_STARTS) or (note.startswith(_HYPERFIRE_ANY) and make.upper() == "RECONYX"):
        layout = _HYPERFIRE
    if layout is None:
        return MakerNote()
    serial = note[layout.serial : layout.serial + layout.serial_bytes]
    text = serial.decode(layout.encoding, "replace").partition("\0")[0]
    try:
        (celsius,) = struct.unpack_from("<h", note, layout.celsius)
    except struct.error:
        return MakerNote(text)
    return MakerNote(text, float(celsius))
