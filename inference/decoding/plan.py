"""Plans one decode: how far the image is reduced, and how much memory that takes.

A reduced image keeps at least two pixels per needed pixel and axis, and more for small models:
docs/adr/0004-reduced-scale-decode.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inference.decoding.memory_cost import FIXED_BYTES, ROW_BYTES, image_bytes
from inference.decoding.orientation import Orientation

if TYPE_CHECKING:
    from inference.decoding.formats.image_format import Header
    from inference.decoding.pixels import Mode

# A reduction inside the decoder saves most of the time. A reduction after it only saves memory, so it can afford to be
# nearly exact (ADR 0004).
_OVERSAMPLING_INSIDE = 2.0
_OVERSAMPLING_INSIDE_SMALL = 2.5
_SMALL_PX = 200  # the fewer pixels a model sees, the more each of them changes its scores (ADR 0004)
_OVERSAMPLING_AFTER = 3.0


class DecodePlan(NamedTuple):
    """One decode, planned from the header and the needed size.

    Attributes:
        header: The header of the image; it proves that the limits were checked.
        scale: The decoder divides both axes by this: 1, 2, 4 or 8 for JPEG, 1 for all other formats.
        factor: Both axes of the decoded image are then divided by this, by averaging; 1 or more.
        memory_bytes: What the decode takes at its peak, beside the encoded content.
        result_bytes: The part of it that remains until the caller lets go of the decoded image.
        keep_damaged: The decoded part of a truncated or damaged picture is returned, with its ``damage``.
    """

    header: Header
    scale: int
    factor: int
    memory_bytes: int
    result_bytes: int
    keep_damaged: bool = False

    @property
    def reduction(self) -> int:
        """The number by which both axes are divided altogether."""
        return self.scale * self.factor

    def memory_with(self, beside_bytes: int) -> int:
        """Return the peak of a decode after which the caller takes ``beside_bytes`` beside the decoded image."""
        return max(self.memory_bytes, self.result_bytes + beside_bytes + FIXED_BYTES)


def plan_decode(header: Header, needed: tuple[int, int], *, mode: Mode = "RGB") -> DecodePlan:
    """Plan a decode whose result is at least twice the needed size in both axes, or the original where that is smaller.

    Below 200 needed pixels on the shorter side it is at least 2.5 times.

    Args:
        header: The header of the image.
        needed: The (width, height) in pixels that the whole upright image is resized to next, before any crop.
        mode: ``RGB`` or ``L``: what the image is converted to.
    """
    room = _room(header, needed, _OVERSAMPLING_INSIDE_SMALL if min(needed) < _SMALL_PX else _OVERSAMPLING_INSIDE)
    scale = next((scale for scale in header.decoder_scales if scale <= room), 1)
    factor = max(1, _room(header, needed, _OVERSAMPLING_AFTER) // scale)
    width, height = header.info.width / (scale * factor), header.info.height / (scale * factor)
    memory, result = header.decoder_memory, image_bytes(width, height, mode)
    decoding = max(memory.fixed + memory.peak / scale**2, memory.delivery / scale**2)
    held = memory.held / scale**2
    is_converted = factor > 1 or header.mode != mode or header.has_transparency
    is_turned = header.orientation is not Orientation.UPRIGHT
    converting = held + result * (is_converted + is_turned)
    result_bytes = result if is_converted or is_turned else held  # else the result is the decoder's own image
    row_pointers = 2 * ROW_BYTES * max(header.info.width, header.info.height)  # of bands and copies of a narrow picture
    memory_bytes = int(max(decoding, converting) + row_pointers) + FIXED_BYTES
    return DecodePlan(header, scale, factor, memory_bytes, int(result_bytes + row_pointers))


def _room(header: Header, needed: tuple[int, int], oversampling: float) -> int:
    """Return the largest factor that leaves ``oversampling`` pixels for each needed one, in both axes; at least 1."""
    across, down = header.info.width // (oversampling * needed[0]), header.info.height // (oversampling * needed[1])
    return max(1, int(min(across, down)))
