"""What an image says of itself before any pixel exists, and every refusal that needs no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import AvifImagePlugin, ExifTags, Image, JpegImagePlugin, PngImagePlugin

from inference.codecs import IMAGE_FAULTS, open_image
from inference.errors import PermanentError, Reason
from inference.formats import sniff
from inference.jpeg2000 import tile_count
from inference.predictions import ImageInfo
from inference.structure import check_structure, png_chunks
from inference.webp import read_webp_header

if TYPE_CHECKING:
    from inference.limits import Limits

_UPRIGHT, _SWAPS_AXES, _LAST = 1, 5, 8  # EXIF 2.32, tag 0x0112
_SELF_ROTATING = frozenset({"heif", "tiff"})  # their readers deliver upright pixels


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says, before any pixel exists.

    Attributes:
        info: The upright size and the format's name.
        orientation: EXIF orientation 1..8 that is still to be applied to the stored pixels.
        mode: Pillow's mode of the stored pixels, such as ``RGB``, ``P``, ``I;16`` or ``CMYK``.
        frames: Frames or pages in the file; only the first is decoded.
        progressive: A JPEG whose coefficients must all be held before the first pixel appears.
        samples: Samples per pixel as stored: 1.5 for 4:2:0 JPEG, 3.0 for 4:4:4, else the mode's channels.
        encoded_bytes: Length of the content.
        tiles: How many pieces a JPEG 2000 is decoded in; 1 in all other formats, where pieces cost nothing.
    """

    info: ImageInfo
    orientation: int
    mode: str
    frames: int
    progressive: bool
    samples: float
    encoded_bytes: int
    tiles: int = 1

    @property
    def pixels(self) -> int:
        """Stored pixels of the first frame."""
        return self.info.width * self.info.height


def read_header(content: bytes, limits: Limits) -> Header:
    """Read what the header says and refuse what cannot or must not be decoded. Costs well under a millisecond.

    Raises:
        PermanentError: Any reason but those that only pixels reveal; ``error.image`` is set where the size is known.
    """
    if len(content) > limits.max_bytes:
        raise PermanentError(
            Reason.TOO_MANY_BYTES, f"The file has {len(content):,} bytes; the limit is {limits.max_bytes:,}."
        )
    kind = sniff(content)
    frames = check_structure(kind, content, limits)
    header = _webp(content, frames) if kind == "webp" else _opened(kind, content, frames)
    info = header.info
    if header.pixels > limits.max_pixels:
        raise PermanentError(
            Reason.TOO_MANY_PIXELS,
            f"The image has {info.width:,} x {info.height:,} = {header.pixels:,} pixels; the limit is"
            f" {limits.max_pixels:,}.",
            info,
        )
    if header.mode == "F":
        raise PermanentError(
            Reason.UNSUPPORTED_FORMAT,
            "The content is a TIFF of floating-point samples, which have no agreed white.",
            info,
        )
    return header


def _opened(kind: str, content: bytes, frames: int) -> Header:
    image = open_image(kind, content)
    orientation = _UPRIGHT if kind in _SELF_ROTATING else _orientation(image, content)
    return Header(
        info=_info(image.size, orientation, kind),
        orientation=orientation,
        mode=image.mode,
        frames=max(frames, image.n_frames) if isinstance(image, AvifImagePlugin.AvifImageFile) else frames,
        progressive="progressive" in image.info,
        samples=_samples(image),
        encoded_bytes=len(content),
        tiles=tile_count(content) if kind == "jpeg2000" else 1,
    )


def _webp(content: bytes, frames: int) -> Header:
    webp = read_webp_header(content)
    orientation = _orientation_in(webp.exif)
    return Header(
        info=_info((webp.width, webp.height), orientation, "webp"),
        orientation=orientation,
        mode=webp.mode,
        frames=frames,
        progressive=False,
        samples=float(len(webp.mode)),
        encoded_bytes=len(content),
    )


def _info(stored: tuple[int, int], orientation: int, kind: str) -> ImageInfo:
    width, height = stored if orientation < _SWAPS_AXES else stored[::-1]
    return ImageInfo(width, height, kind)


def _orientation(image: Image.Image, content: bytes) -> int:
    """Read the EXIF orientation; a broken or odd one counts as upright, as in every viewer."""
    try:
        if isinstance(image, PngImagePlugin.PngImageFile):
            _find_png_exif(image, content)
        # Not image.getexif(): for PNG that decodes every pixel first.
        return _valid(Image.Image.getexif(image))
    except IMAGE_FAULTS:
        return _UPRIGHT


def _orientation_in(block: bytes) -> int:
    exif = Image.Exif()
    try:
        exif.load(block)
        return _valid(exif)
    except IMAGE_FAULTS:
        return _UPRIGHT


def _valid(exif: Image.Exif) -> int:
    value = exif.get(ExifTags.Base.Orientation)
    return value if isinstance(value, int) and _UPRIGHT <= value <= _LAST else _UPRIGHT


def _find_png_exif(image: Image.Image, content: bytes) -> None:
    """Let a reader that stops at the pixels know of an EXIF chunk behind them."""
    if "exif" not in image.info:
        for kind, start, length in png_chunks(content):
            if kind == b"eXIf":
                image.info["exif"] = content[start : start + length]


def _samples(image: Image.Image) -> float:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        widest = max((h * v for _, h, v, _ in image.layer), default=1) or 1
        return sum(h * v for _, h, v, _ in image.layer) / widest
    return float(len(image.getbands()))
