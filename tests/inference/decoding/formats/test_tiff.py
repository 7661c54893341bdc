"""TIFF: the file must list every strip or tile of its picture."""

from __future__ import annotations

import struct

import pytest

from inference.decoding.header import read_header
from inference.errors import PermanentError, Reason
from inference.limits import Limits


def tiff(height: int, tags: dict[int, tuple[int, ...]]) -> bytes:
    """A grey TIFF, 16 pixels wide; all listed parts point at the same bytes of the file."""
    layout = {256: (16,), 257: (height,), 258: (8,), 259: (1,), 262: (1,), **tags}
    behind = 8 + 2 + 12 * len(layout) + 4
    entries, values = b"", b""
    for tag, numbers in sorted(layout.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        where = struct.pack("<I", behind + len(values)) if len(numbers) > 1 else packed
        values += packed if len(numbers) > 1 else b""
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + where
    content = b"II*\0" + struct.pack("<IH", 8, len(layout)) + entries + bytes(4) + values
    return content + bytes(range(256)) * 8


@pytest.mark.parametrize(
    ("parts", "listed"),
    [
        ({278: (8,), 273: (500,) * 4, 279: (128,) * 4}, 4),
        ({278: (8,), 273: (500,) * 12, 279: (128,) * 12, 277: (3,), 284: (2,), 262: (2,), 258: (8, 8, 8)}, 12),
        ({322: (16,), 323: (16,), 324: (500,) * 2, 325: (256,) * 2}, 2),
    ],
    ids=["strips", "strips in planes", "tiles"],
)
def test_a_tiff_must_list_all_parts_of_its_picture(parts: dict[int, tuple[int, ...]], listed: int) -> None:
    """Pillow leaves rows without a strip black: a file of 3 KB with 24 rows stated 16,711,704 rows."""
    whole = read_header(tiff(32, parts), Limits())
    assert whole.stored_size == (16, 32)
    fewer = {tag: numbers[:-1] if len(numbers) == listed else numbers for tag, numbers in parts.items()}
    with pytest.raises(PermanentError, match=f"lists {listed - 1} of the {listed} parts") as refusal:
        read_header(tiff(32, fewer), Limits())
    assert refusal.value.reason is Reason.TRUNCATED
