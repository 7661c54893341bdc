"""Is the file whole? A walk over each container's own lengths, without decoding a pixel.

Some decoders fill what is missing with grey or stop early without a word (JPEG 2000, GIF, BMP with run lengths), and
all of them notice late. The walk costs microseconds and also bounds how many chunks and frames a parser will meet.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from inference.decoding.formats.bmp import walk_bmp
from inference.decoding.formats.chunk_limit import Pieces, corrupt, truncated
from inference.decoding.formats.gif import walk_gif
from inference.decoding.formats.ico import walk_ico
from inference.decoding.formats.iso_bmff import walk_boxes
from inference.decoding.formats.jpeg import walk_jpeg
from inference.decoding.formats.png import walk_png
from inference.decoding.formats.tiff import walk_tiff
from inference.decoding.formats.webp_walk import walk_webp
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.limits import Limits

_WALKS: dict[str, Callable[[bytes, Pieces], int]] = {
    "jpeg": walk_jpeg,
    "png": walk_png,
    "webp": walk_webp,
    "gif": walk_gif,
    "bmp": walk_bmp,
    "tiff": walk_tiff,
    "ico": walk_ico,
    "avif": walk_boxes,
    "heif": walk_boxes,
    "jpeg2000": walk_boxes,
}


def check_structure(kind: str, content: bytes, limits: Limits) -> int:
    """Walk the container of format ``kind`` and count its frames (1 where the format has no notion of them).

    Raises:
        PermanentError: ``truncated``, ``corrupt``, ``too_many_frames`` (or chunks), ``decompression_bomb`` or, for raw
            photos inside TIFF, ``unsupported_format``.
    """
    walk = _WALKS.get(kind)
    if walk is None:
        return 1
    try:
        frames = walk(content, Pieces(limits.max_chunks))
    except (struct.error, IndexError) as error:
        raise truncated(content, "its header is cut off") from error
    except OverflowError as error:  # a 64-bit offset no file can have
        raise corrupt("it points outside of any file") from error
    if frames > limits.max_frames:
        raise PermanentError(
            Reason.TOO_MANY_FRAMES, f"The file holds {frames:,} frames or pages; the limit is {limits.max_frames:,}."
        )
    return frames
