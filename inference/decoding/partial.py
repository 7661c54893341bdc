"""Decodes the good part of a picture that is cut or damaged, and fills the rest.

Pillow's decoders write rows until they fail, and do not report which. So the picture is decoded twice, over two
different colours: a row that is the same both times was decoded. Rows are compared one by one up to 8,192 of them. A
higher picture is compared in bands of rows, because a file of a few bytes can state millions of rows.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from inference.decoding.decoder_errors import decoder_errors
from inference.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL.ImageFile import ImageFile

FILLER = 128
"""Mid-grey, in each channel: what the model sees where nothing was decoded."""


class Part(NamedTuple):
    """The good part of a picture.

    Attributes:
        picture: The whole picture as stored.
        decoded_fraction: The part of the stored height that was decoded: 0..1.
        missing: The rows of ``picture`` that mean nothing. It is empty where all rows show the picture, some of them
            with less detail or with faults, as in a progressive or interlaced file.
    """

    picture: Image.Image
    decoded_fraction: float
    missing: range = range(0)


_MAX_BANDS = 8192


def decode_part(open_image: Callable[[], ImageFile]) -> Part | None:
    """Decode the rows of a picture that its decoder reaches; ``None`` where there is none.

    In an interlaced picture, a missing row becomes a copy of the nearest decoded row above it, or below at the top.

    Args:
        open_image: Opens the picture with Pillow's reader, each time anew.

    Raises:
        TransientError: Memory ran out.
    """
    before = band_hashes(_decode_over(open_image(), 0))
    picture = _decode_over(open_image(), 255)
    decoded = [band for band, (one, other) in enumerate(zip(before, band_hashes(picture), strict=True)) if one == other]
    if not decoded:
        return None
    height, rows = picture.height, band_rows(picture.height)
    first, behind = decoded[0] * rows, min(height, (decoded[-1] + 1) * rows)
    missing = range(0)
    if decoded[-1] - decoded[0] >= len(decoded):
        _repeat_bands(picture, decoded)
    elif behind == height:  # the rows of most bitmaps are stored from the bottom up
        missing = range(first)
    elif first == 0:
        missing = range(behind, height)
    else:
        return None  # no decoder works like that
    return Part(picture, min(1.0, len(decoded) * rows / height), missing)


def fill_missing(image: Image.Image, part: Part, factor: int) -> None:
    """Make the missing rows mid-grey.

    Args:
        image: The part's picture as RGB or L, and divided by ``factor`` in both axes: the blocks of ``factor`` rows
            begin at the top or at the bottom. A block with a missing row is missing.
        part: The part.
        factor: 1 or more.
    """
    if not part.missing:
        return
    height, stored = image.height, part.picture.height
    first = min(part.missing.start // factor, part.missing.start * height // stored)
    behind = max(-(-part.missing.stop // factor), -(-part.missing.stop * height // stored))
    image.paste(FILLER if image.mode == "L" else (FILLER,) * 3, (0, first, image.width, min(behind, height)))


def _decode_over(image: ImageFile, level: int) -> Image.Image:
    """Decode an opened image over pixels of one value, as far as its decoder comes."""
    prepare = image.load_prepare

    def prepare_and_fill() -> None:
        prepare()
        for tile in image.tile:
            bands = Image.getmodebands(image.im.mode)
            image.im.paste(level if bands == 1 else (level,) * bands, tile[1])

    image.load_prepare = prepare_and_fill  # type: ignore[method-assign]  # one image, not its class
    with suppress(PermanentError), decoder_errors(""):
        image.load()
    image.tile = []  # load no more
    return image


def band_rows(height: int) -> int:
    """Return the rows of a band: 1 in all but very high pictures."""
    return -(-height // _MAX_BANDS)


def band_hashes(picture: Image.Image) -> list[int]:
    """Return a hash of the pixels of each band; two bands with the same hash are the same."""
    width, height = picture.size
    rows = band_rows(height)
    tops = range(0, height, rows)
    return [hash(picture.crop((0, top, width, min(top + rows, height))).tobytes()) for top in tops]


def _repeat_bands(picture: Image.Image, decoded: Sequence[int]) -> None:
    rows, source, is_decoded = band_rows(picture.height), decoded[0], set(decoded)
    for band in range(-(-picture.height // rows)):
        if band in is_decoded:
            source = band
        else:
            copy = picture.crop((0, source * rows, picture.width, (source + 1) * rows))
            picture.paste(copy, (0, band * rows))
