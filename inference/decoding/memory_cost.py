"""The memory that decoding takes at its peak, in bytes beside the encoded content.

Each format's module states what its decoder takes. The numbers are measured: the peak of the resident set while a
picture becomes the model's input, less the resident set before, in a fresh process for each picture, 12 megapixels,
Pillow 13.0 and pillow-heif 1.8 on Linux. ``docs/images.md`` has the table, and
``tests/inference/decoding/test_memory_cost.py`` holds the estimates within 20 % of measurements. A Pillow pixel is
4 bytes (1 for grey and palette, 2 for 16 bits), and an image has a pointer to each of its rows, which is most of it
where the image is a pixel wide.
"""

from __future__ import annotations

from typing import NamedTuple

FIXED_BYTES = 8 * 1024 * 1024  # conversion bands, decoder tables, allocator slack

_PIXEL_BYTES = 4
ROW_BYTES = 8
_ONE_BYTE_MODES = frozenset({"1", "L", "P"})


class DecoderMemory(NamedTuple):
    """The bytes that one decoder takes. A decoder that divides both axes by n takes 1/n² of all but ``fixed``.

    Attributes:
        peak: While it decodes, without ``fixed``.
        held: Once it has decoded: the delivered image, and what its reader keeps.
        fixed: While it decodes, at any scale.
        delivery: While the delivered image is made from what it decoded, where that is a step of its own.
    """

    peak: float
    held: float
    fixed: float = 0.0
    delivery: float = 0.0


def image_bytes(width: float, height: float, mode: str = "RGB") -> float:
    """Return the bytes of a Pillow image of this mode, upright or not, so that either side may be its rows."""
    pixel_bytes = 1 if mode in _ONE_BYTE_MODES else 2 if mode.startswith("I;16") else _PIXEL_BYTES
    return pixel_bytes * width * height + ROW_BYTES * max(width, height)
