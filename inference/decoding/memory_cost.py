"""The memory that decoding takes at its peak, in bytes beside the encoded content.

Measured: one image per fresh process, the peak of its resident set over its value before, 12 and 50 megapixels,
Pillow 13.0 and pillow-heif 1.8 on Linux; ``docs/images.md`` has the table, and
``tests/inference/decoding/test_memory_cost.py`` compares the estimates with measurements. Each format's module states
what its decoder takes. A Pillow pixel is 4 bytes (1 for grey and palette, 2 for 16 bits), and an image has a pointer to
each of its rows, which is most of it where the image is a pixel wide.
"""

from __future__ import annotations

from typing import NamedTuple

FIXED_BYTES = 8 * 1024 * 1024  # conversion bands, decoder tables, allocator slack

_PIXEL_BYTES = 4
_ROW_BYTES = 8
_ONE_BYTE_MODES = frozenset({"1", "L", "P"})


class DecoderMemory(NamedTuple):
    """The bytes that one decoder takes.

    Attributes:
        fixed: At any scale.
        scaled: At full scale; a decoder that divides both axes by n takes 1/n² of it.
    """

    fixed: float
    scaled: float = 0.0

    def at(self, scale: int) -> float:
        """Return the bytes for a decode whose decoder divides both axes by ``scale``."""
        return self.fixed + self.scaled / scale**2


def image_bytes(width: float, height: float, mode: str = "RGB") -> float:
    """Return the bytes of a Pillow image of this mode, upright or not, so that either side may be its rows."""
    pixel_bytes = 1 if mode in _ONE_BYTE_MODES else 2 if mode.startswith("I;16") else _PIXEL_BYTES
    return pixel_bytes * width * height + _ROW_BYTES * max(width, height)
