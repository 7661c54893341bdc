"""Decodes an image into upright RGB or grey pixels, no larger than its use needs.

The steps are separate, so that a caller can reserve memory in between::

    header = read_header(content, limits)                          # cheap, no pixels; refuses too large images
    plan = plan_decode(header, needed=(341, 256))                  # 4000 x 3000, whose shortest side becomes 256
    with admission.reserve(plan.memory_bytes):
        decoded = decode(content, plan)
        model_input = preprocess(spec, decoded)                    # one filtered resize of a small image

JPEG is reduced inside the decoder, where most of the time goes; the other formats are reduced right after it.
All functions are safe to call from many threads and change no global of Pillow.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from inference.decoding.decoder_errors import decoder_errors
from inference.decoding.formats.image_format import PartialImageError, load_format
from inference.decoding.orientation import Orientation
from inference.decoding.partial import Part, fill_missing
from inference.decoding.pixels import WHITE, Mode, convert_and_reduce
from inference.errors import DAMAGE, PermanentError

if TYPE_CHECKING:
    from PIL import Image

    from inference.decoding.formats.image_format import ImageFormat
    from inference.decoding.orientation import Box
    from inference.decoding.plan import DecodePlan
    from inference.predictions import ImageInfo


class DecodedImage(NamedTuple):
    """An image of RGB or grey pixels, possibly reduced, with the facts about its original.

    Attributes:
        image: ``RGB`` or ``L``, as requested.
        info: The original's upright size and its format.
        box: The place of the original in ``image``: left, top, right, bottom in pixels of ``image``, for
            ``Image.resize(box=...)``, where ``None`` is all of it. In a reduced image the outermost pixels may reach
            past the original: 1001 pixels reduced four times are 250.25 and are kept as 251.
        orientation: The orientation that is still to be applied to ``image`` and ``box``; upright by default.
        damage: The damage of a picture of which only a part was decoded; ``None`` for a whole one.
    """

    image: Image.Image
    info: ImageInfo
    box: Box | None = None
    orientation: Orientation = Orientation.UPRIGHT
    damage: Damage | None = None


class Damage(NamedTuple):
    """The damage of a picture that was decoded all the same; its undecoded rows are mid-grey (``partial``).

    Attributes:
        refusal: The error that the picture would be refused with.
        decoded_fraction: The part of the stored height that was decoded: above 0, up to 1.
    """

    refusal: PermanentError
    decoded_fraction: float


def decode(
    content: bytes,
    plan: DecodePlan,
    *,
    mode: Mode = "RGB",
    background: tuple[int, int, int] = WHITE,
    upright: bool = True,
) -> DecodedImage:
    """Decode the first frame.

    Args:
        content: The bytes that the plan's header was read from.
        plan: The answer of ``plan_decode``.
        mode: ``RGB`` or ``L``.
        background: The colour behind transparent pixels, RGB in 0..255.
        upright: False leaves an image that the decoder has reduced (JPEG) in its stored orientation: a caller that
            resizes it applies the orientation to fewer pixels. All other images become upright in any case, because
            resizing them sideways would round differently.

    Raises:
        PermanentError: ``truncated``, ``damaged``, ``corrupt`` or ``decompression_bomb``, which only the pixels reveal;
            with the plan's ``keep_damaged`` only where no row was decoded.
        TransientError: Memory ran out.
    """
    header, info, orientation = plan.header, plan.header.info, plan.header.orientation
    # An image that the decoder did not reduce gives the same pixels in every stored orientation, to the bit.
    is_exact = plan.scale == 1
    try:
        stored, damage = _decode_stored(content, plan, mode)
        with decoder_errors(info.format):
            anchor_edges = orientation.anchor_edges if is_exact else (False, False)
            image = convert_and_reduce(
                stored.picture, plan.factor, mode=mode, background=background, anchor_edges=anchor_edges
            )
            fill_missing(image, stored, plan.factor)
            if upright or is_exact:
                image, orientation = orientation.apply(image), Orientation.UPRIGHT
    except PermanentError as error:
        error.image = info
        raise
    width, height = (info.width, info.height) if is_exact else header.stored_size
    # A part of a pixel that reaches past the original lies at the right and at the bottom.
    box = 0.0, 0.0, width / plan.reduction, height / plan.reduction
    if orientation is Orientation.UPRIGHT and not is_exact:
        box = header.orientation.to_upright(box, image.size)
    return DecodedImage(image, info, box, orientation, damage)


def _decode_stored(content: bytes, plan: DecodePlan, mode: Mode) -> tuple[Part, Damage | None]:
    """Decode the stored picture, or the good part of a damaged one.

    Raises:
        PermanentError, TransientError: See ``decode``.
    """
    image_format = load_format(plan.header.info.format)
    try:
        if plan.header.refusal:
            raise plan.header.refusal
        with decoder_errors(image_format.name):
            return Part(image_format.decode(content, mode, plan.scale), 1.0), None
    except PermanentError as error:
        if not plan.keep_damaged or error.reason not in DAMAGE:
            raise
        part = error.part if isinstance(error, PartialImageError) else None
        # A new error: the one that was raised keeps the pixels of its frames.
        refusal = PermanentError(error.reason, error.detail, plan.header.info)
    part = part or _decode_part(image_format, content)
    if part is None or part.decoded_fraction == 0:
        raise refusal
    return part, Damage(refusal, part.decoded_fraction)


def _decode_part(image_format: ImageFormat, content: bytes) -> Part | None:
    with suppress(PermanentError), decoder_errors(image_format.name):
        return image_format.decode_part(content)
    return None
