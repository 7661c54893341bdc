"""How many pixels an AVIF or HEIC really has to be decoded to, whatever size the picture as a whole is said to have.

libavif decodes an AV1 stream at the stream's own size, and then scales it to the size in the box: only the stream binds
it. libheif refuses a HEVC stream that is larger than its box says before it decodes it; there, the boxes of all tiles
bind it, not the one of the picture that they are put together to. Both seen in ``test_decode_coded_size.py``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from inference.decoding.formats.av1 import NOTHING_CODED, Coded, av1_frames
from inference.decoding.formats.chunk_limit import Pieces, corrupt
from inference.decoding.formats.heif_items import picture_layers

if TYPE_CHECKING:
    from inference.decoding.formats.heif_items import Part
    from inference.limits import Limits


def coded_size(kind: str, content: bytes, limits: Limits) -> Coded:
    """Add up all tiles and frames of the colours or, where it is more, of what lies beside them (alpha).

    Args:
        kind: ``avif`` or ``heif``; anything else is nothing.
        content: The whole file.
        limits: Bounds the boxes, items and units that are looked at.

    Raises:
        PermanentError: ``corrupt``: the items lie outside of the file; ``too_many_frames``: too many of them.
    """
    if kind not in {"avif", "heif"}:
        return NOTHING_CODED
    pieces = Pieces(limits.max_chunks)

    def coded(parts: list[Part]) -> Coded:
        if kind == "heif":
            return Coded(sum(part.stated_pixels for part in parts))
        frames = [av1_frames(part.stream, pieces) for part in parts]
        return Coded(sum(frame.pixels for frame in frames), any(frame.is_deep for frame in frames))

    try:
        layers = [coded(parts) for picture in picture_layers(content, pieces) for parts in picture]
    except (struct.error, LookupError) as error:
        raise corrupt("its boxes do not say where its picture is") from error
    return Coded(max((layer.pixels for layer in layers), default=0), any(layer.is_deep for layer in layers))
