"""What an image says of itself before any pixel exists, and every refusal that needs no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import AvifImagePlugin, Image, JpegImagePlugin, PngImagePlugin

from inference.decoding.exif import UPRIGHT, orientation
from inference.decoding.formats.av1 import NOTHING_CODED, Coded
from inference.decoding.formats.avif_heif import coded_size
from inference.decoding.formats.detect import sniff
from inference.decoding.formats.jpeg import count_scans
from inference.decoding.formats.jpeg2000 import read_codestream, refuse_sheared_chroma
from inference.decoding.formats.png import png_chunks
from inference.decoding.formats.validate import check_structure
from inference.decoding.formats.webp import read_webp_header
from inference.decoding.orientation import swapped
from inference.decoding.readers import open_image
from inference.decoding.xmp import png_xmp, xmp_orientation
from inference.errors import PermanentError, Reason
from inference.predictions import ImageInfo

if TYPE_CHECKING:
    from inference.limits import Limits

_SELF_ROTATING = frozenset({"heif", "tiff"})  # their readers deliver upright pixels

# Formats that can claim any size in a few bytes and are slow to decode. Photos at the lowest quality there is, enlarged
# until nothing was sharp, came to 668 pixels per byte and a blur without any content to 3,400 (docs/images.md); the
# other formats have a floor of their own, such as Deflate's 1,032 to one.
_ANY_DENSITY = frozenset({"webp", "avif", "heif", "jpeg2000"})
_MOST_PIXELS_PER_BYTE = 10_000
_LARGE_PIXELS = 50_000_000  # below, a blank page is decoded in a second or two, however small its file

# Each scan goes over the whole picture: about 1.5 ns a pixel. 200 megapixels in 15 scans, where libjpeg writes 10 for a
# colour photo and 18 for four inks.
_MOST_SCANNED_PIXELS = 3_000_000_000


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
        coded: What an AVIF or HEIC is decoded to, whatever size its picture is said to have; 0 in all other formats.
        tiles: How many pieces a JPEG 2000 is decoded in; 1 in all other formats, where pieces cost nothing.
        block_samples: Samples of a JPEG 2000's smallest code-block; 1 in all other formats.
    """

    info: ImageInfo
    orientation: int
    mode: str
    frames: int
    progressive: bool
    samples: float
    encoded_bytes: int
    coded: Coded = NOTHING_CODED
    tiles: int = 1
    block_samples: int = 1

    @property
    def pixels(self) -> int:
        """Stored pixels of the first frame."""
        return self.info.width * self.info.height

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height before the orientation is applied."""
        return swapped((self.info.width, self.info.height), self.orientation)


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
    header = _webp(content, frames) if kind == "webp" else _opened(kind, content, frames, limits)
    info = header.info
    if header.pixels > limits.max_pixels:
        raise PermanentError(
            Reason.TOO_MANY_PIXELS,
            f"The image has {info.width:,} x {info.height:,} = {header.pixels:,} pixels; the limit is"
            f" {limits.max_pixels:,}.",
            info,
        )
    if header.coded.pixels > limits.max_pixels:
        raise PermanentError(
            Reason.TOO_MANY_PIXELS,
            f"The image says it is {info.width:,} x {info.height:,} and is coded in {header.coded.pixels:,} pixels;"
            f" the limit is {limits.max_pixels:,}.",
            info,
        )
    _refuse_bombs(header, content)
    if header.mode == "F":
        raise PermanentError(
            Reason.UNSUPPORTED_FORMAT,
            "The content is a TIFF of floating-point samples, which have no agreed white.",
            info,
        )
    return header


def _refuse_bombs(header: Header, content: bytes) -> None:
    """Refuse files of next to nothing that would keep a decoder busy for seconds."""
    kind, pixels = header.info.format, max(header.pixels, header.coded.pixels)
    if kind in _ANY_DENSITY and pixels > _LARGE_PIXELS and pixels > len(content) * _MOST_PIXELS_PER_BYTE:
        detail = f"The file's {len(content):,} bytes claim {pixels:,} pixels: no picture is coded in so few."
        raise PermanentError(Reason.DECOMPRESSION_BOMB, detail, header.info)
    if kind == "jpeg":
        scans = count_scans(content)
        if scans * pixels > _MOST_SCANNED_PIXELS:
            detail = f"The picture's {pixels:,} pixels are gone over in {scans:,} scans; writers make about ten."
            raise PermanentError(Reason.DECOMPRESSION_BOMB, detail, header.info)


def _opened(kind: str, content: bytes, frames: int, limits: Limits) -> Header:
    image = open_image(kind, content)
    tiles = block_samples = 1
    if kind == "jpeg2000":
        codestream = read_codestream(content)
        refuse_sheared_chroma(codestream)
        tiles, block_samples = codestream.tiles, codestream.block_samples
    turn = UPRIGHT if kind in _SELF_ROTATING else _orientation(image, content)
    return Header(
        info=_info(image.size, turn, kind),
        orientation=turn,
        mode=image.mode,
        frames=max(frames, image.n_frames) if isinstance(image, AvifImagePlugin.AvifImageFile) else frames,
        progressive="progressive" in image.info,
        samples=_samples(image),
        encoded_bytes=len(content),
        coded=coded_size(kind, content, limits),
        tiles=tiles,
        block_samples=block_samples,
    )


def _webp(content: bytes, frames: int) -> Header:
    webp = read_webp_header(content)
    turn = orientation(webp.exif) or xmp_orientation(webp.xmp)
    return Header(
        info=_info((webp.width, webp.height), turn, "webp"),
        orientation=turn,
        mode=webp.mode,
        frames=frames,
        progressive=False,
        samples=float(len(webp.mode)),
        encoded_bytes=len(content),
    )


def _info(stored: tuple[int, int], turn: int, kind: str) -> ImageInfo:
    width, height = swapped(stored, turn)
    return ImageInfo(width, height, kind)


def _orientation(image: Image.Image, content: bytes) -> int:
    """Ask EXIF and, where it has no such tag, XMP."""
    block, packet = image.info.get("exif", b""), image.info.get("xmp", b"")
    if isinstance(image, PngImagePlugin.PngImageFile):  # its reader stops at the pixels
        block, packet = block or _png_exif(image, content), png_xmp(content)
    return (orientation(block) if isinstance(block, bytes) else None) or xmp_orientation(packet)


def _png_exif(image: Image.Image, content: bytes) -> bytes:
    for kind, start, length in png_chunks(content):
        if kind == b"eXIf":
            return content[start : start + length]
    lines = str(image.info.get("Raw profile type exif", "")).split("\n")  # ImageMagick's way before there was eXIf
    try:
        return bytes.fromhex("".join(lines[3:]))
    except ValueError:
        return b""


def _samples(image: Image.Image) -> float:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        widest = max((h * v for _, h, v, _ in image.layer), default=1) or 1
        return sum(h * v for _, h, v, _ in image.layer) / widest
    return float(len(image.getbands()))
