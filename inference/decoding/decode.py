"""Encoded bytes become an upright RGB image, no larger than its use needs.

Two steps, so that a caller can ask for memory in between::

    header = read_header(content, limits)                 # cheap, no pixels; refuses what is too large
    with admission.reserve(decode_cost(header, needed)):
        decoded = decode(content, header, needed=needed)
        model_input = preprocess(spec, decoded)           # one filtered resize of a small image

``needed`` maps the upright original size ``(width, height)`` to the size the whole image is going to be resized to
before any crop: for "shortest side 256" and 4000 x 3000 it answers ``(341, 256)``. The decoded image is at least twice
that in both axes, or the original where that is smaller: docs/adr/0004-reduced-scale-decode.md.
JPEG shrinks inside the decoder, which is where the time goes; all other formats shrink right after it.

``decoded.image`` is upright: nothing more has to be rotated, unless the caller asked to do that himself after a resize,
which is cheaper, and the decoder reduced it. ``decoded.info`` tells the original's upright size, and ``decoded.box``
where exactly the original lies in the reduced image.
All functions are safe to call from many threads and change no global of Pillow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from inference.decoding.exif import UPRIGHT
from inference.decoding.formats.jpeg_gaps import refuse_gaps
from inference.decoding.header import Header, read_header
from inference.decoding.orientation import far_sides, turned, turned_box
from inference.decoding.pixels import WHITE, Mode, flatten
from inference.decoding.readers import decoder_errors, open_image
from inference.errors import PermanentError

if TYPE_CHECKING:
    from PIL import Image

    from inference.decoding.orientation import Box
    from inference.predictions import ImageInfo

__all__ = ["DecodedImage", "Header", "Needed", "Reduction", "decode", "read_header", "reduction"]

Needed = Callable[[int, int], tuple[int, int]]

# The reduced image keeps at least this many pixels per needed pixel and axis (ADR 0004). Inside the decoder a reduction
# saves most of the time; after it, it only saves memory, so there we can afford to be nearly exact.
_OVERSAMPLING_INSIDE = 2
_OVERSAMPLING_AFTER = 3
_JPEG_SCALES = (8, 4, 2)


class Reduction(NamedTuple):
    """How many times both axes shrink: inside the decoder (JPEG: 1, 2, 4 or 8), and by averaging after it."""

    inside: int
    after: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.inside * self.after


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright, possibly reduced picture and what the original was.

    Attributes:
        image: ``RGB`` or ``L``, as asked for.
        info: The original's upright size and its format.
        box: Where the original lies in ``image``: left, top, right, bottom in pixels of ``image``, for
            ``Image.resize(box=...)``, where ``None`` is all of it. In a reduced image the outermost pixels may reach
            past the original: 1001 pixels reduced four times are 250.25 and are kept as 251.
        turn: EXIF orientation that ``image`` and ``box`` still have to be turned by; 1 unless the caller asked for it.
    """

    image: Image.Image
    info: ImageInfo
    box: Box | None = None
    turn: int = UPRIGHT


def decode(  # noqa: PLR0913  # the last four are independent and have defaults
    content: bytes,
    header: Header,
    *,
    needed: Needed,
    mode: Mode = "RGB",
    background: tuple[int, int, int] = WHITE,
    upright: bool = True,
) -> DecodedImage:
    """Decode the first frame in ``mode``, reduced as far as ``needed`` allows.

    Args:
        content: The bytes that ``header`` was read from.
        header: The answer of ``read_header``: the proof that the limits were checked.
        needed: Upright original size to the size the whole image is resized to next.
        mode: ``RGB`` or ``L``.
        background: What transparent pixels lie on, RGB in 0..255.
        upright: False leaves the turning of what was reduced inside the decoder (JPEG) to the caller, who may first
            make it smaller still. Anything else is turned all the same: resizing it sideways would round differently.

    Raises:
        PermanentError: ``truncated``, ``corrupt`` or ``decompression_bomb``: what only the pixels reveal.
        TransientError: Memory ran out.
    """
    info = header.info
    shrink = reduction(header, needed)
    opened = open_image(info.format, content)
    image: Image.Image = opened
    try:
        with decoder_errors(info.format):
            if header.info.format == "jpeg":
                image.draft(mode, (image.width // shrink.inside, image.height // shrink.inside))
                # In one piece, without a copy: between Pillow's 64 KiB blocks libjpeg begins rows again, 6 % of it all.
                opened.decodermaxblock = len(content)
            image.load()
            if header.info.format == "jpeg":
                refuse_gaps(content, image, mode, shrink.inside)
            # What the decoder did not reduce is one picture, however it was stored, and stays so to the bit.
            exact = shrink.inside == 1
            far = far_sides(header.orientation) if exact else (False, False)
            image = flatten(image, shrink.after, mode=mode, background=background, far=far)
            turn = header.orientation
            if upright or exact:
                image, turn = turned(image, turn), UPRIGHT
    except PermanentError as error:
        error.image = info
        raise
    width, height = (info.width, info.height) if exact else header.stored_size
    box = 0.0, 0.0, width / shrink.total, height / shrink.total  # what is spare stands at the right and bottom
    if turn == UPRIGHT and not exact:
        box = turned_box(box, image.size, header.orientation)
    return DecodedImage(image, info, box, turn)


def reduction(header: Header, needed: Needed) -> Reduction:
    """How far ``decode`` will shrink the image."""
    inside = 1
    if header.info.format == "jpeg":
        room = _room(header, needed, _OVERSAMPLING_INSIDE)
        inside = next((scale for scale in _JPEG_SCALES if scale <= room), 1)
    return Reduction(inside, max(1, _room(header, needed, _OVERSAMPLING_AFTER) // inside))


def _room(header: Header, needed: Needed, oversampling: int) -> int:
    """The largest factor that leaves ``oversampling`` pixels for each needed one, in both axes."""
    width, height = header.info.width, header.info.height
    needed_width, needed_height = needed(width, height)
    return max(1, min(width // (oversampling * needed_width), height // (oversampling * needed_height)))
