"""JPEG: segments up to the first scan, then entropy-coded data up to the end-of-image marker (ITU-T T.81)."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageChops, JpegImagePlugin

from inference.decoding.formats.chunk_limit import ChunkLimit
from inference.decoding.formats.image_format import Header, ImageFormat
from inference.decoding.formats.refusals import corrupt, truncated
from inference.decoding.memory_cost import DecoderMemory, image_bytes
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from inference.decoding.pixels import Mode
    from inference.limits import Limits

_MARKER = re.compile(rb"\xff+[^\xff]")  # any number of 0xFF may precede a marker's code
_END = b"\xff\xd9"
_START_OF_SCAN = 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # ITU-T T.81, table B.1
_PROGRESSIVE_FRAMES = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_MAX_JUNK_BYTES = 65_536  # between segments; Pillow reads them one by one
_MAX_EXIF_SEGMENTS = 256  # 16 MiB; Pillow joins them in quadratic time

# A decoder goes over the whole picture in each scan: about 1.5 ns a pixel. This is 200 megapixels in 15 scans, where
# libjpeg writes 10 for a colour photo and 18 for four inks.
_MAX_SCANNED_PIXELS = 3_000_000_000
_COEFFICIENT_BYTES = 2  # libjpeg's JCOEF
_OTHER_BYTES = bytes(number * number % 251 for number in range(1024))  # any bytes but 0xFF, which begins a marker


class _Reader(JpegImagePlugin.JpegImageFile):
    """Pillow's reader, which reads no resolution from EXIF: nothing uses it, and broken EXIF must not cost a photo."""

    def _read_dpi_from_exif(self) -> None:
        pass


class Jpeg(ImageFormat):
    """Baseline and progressive JPEG; the first picture of an MPO."""

    name = "jpeg"
    reader = _Reader

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that a scan begins and that an end-of-image marker follows."""
        if content.rfind(_END, _first_scan(content, chunks).start) < 0:
            raise truncated(content, "the end-of-image marker is missing")
        return 1

    def describe(self, image: ImageFile, content: bytes, frames: int, limits: Limits) -> Header:
        """Return the header of an opened image.

        A progressive file's coefficients are all held before the first pixel appears, at full scale. Three reduced
        images and the file itself are held where the last row is flat (``refuse_hidden_truncation``).
        """
        coefficients = 0.0
        if "progressive" in image.info:
            coefficients = _COEFFICIENT_BYTES * _samples_per_pixel(image) * image.width * image.height
        return (
            super()
            .describe(image, content, frames, limits)
            ._replace(
                decoder_memory=DecoderMemory(coefficients + len(content), 3 * image_bytes(*image.size, image.mode)),
                decoder_scales=(8, 4, 2),
            )
        )

    def refuse(self, header: Header, content: bytes) -> None:
        """Refuse a picture in very many scans."""
        scans = _count_scans(content)
        if scans * header.pixels > _MAX_SCANNED_PIXELS:
            detail = f"The JPEG codes {header.pixels:,} pixels in {scans:,} scans; encoders write about ten."
            raise PermanentError(Reason.DECOMPRESSION_BOMB, detail, header.info)

    def decode(self, content: bytes, mode: Mode, scale: int) -> Image.Image:
        """Decode the first picture, divided by ``scale`` in both axes; it may be in ``mode`` already."""
        image = self._open_reduced(content, mode, scale)
        # In one piece, without a copy: between Pillow's 64 KiB blocks libjpeg begins rows again, 6 % of all its work.
        image.decodermaxblock = len(content)
        image.load()
        self.refuse_hidden_truncation(content, image, mode, scale)
        return image

    def refuse_hidden_truncation(self, content: bytes, image: Image.Image, mode: Mode, scale: int) -> None:
        """Refuse a picture that lacks its last part although the file ends with an end-of-image marker.

        A camera that loses power, or a program that "repairs" a cut file, writes that marker. libjpeg then repeats the
        last colour to the bottom and only counts a warning, which Pillow hides. Such a picture has a flat last row; few
        photos have one. For those an experiment decides: with other bytes before the end marker, a whole picture
        decodes to the same pixels, and a cut one takes the bytes for its own. (A progressive file that was cut after
        its first scan is whole but less sharp, and passes.)

        Args:
            content: The file.
            image: The picture, decoded from it in ``mode`` at ``1/scale``.
            mode: As for ``decode``.
            scale: As for ``decode``.

        Raises:
            PermanentError: ``truncated``.
        """
        extrema = image.crop((0, image.height - 1, image.width, image.height)).getextrema()
        bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
        if any(low != high for low, high in bands):
            return
        end = content.find(_END, _first_scan(content).start)
        experiment = self._open_reduced(content[:end] + _OTHER_BYTES + content[end:], mode, scale)
        if ImageChops.difference(image, experiment).getbbox(alpha_only=False):
            detail = f"The file has an end marker after {len(content):,} bytes, but a part of its picture is missing."
            raise PermanentError(Reason.TRUNCATED, detail)

    def _open_reduced(self, content: bytes, mode: Mode, scale: int) -> ImageFile:
        image = self.open(content)
        image.draft(mode, (image.width // scale, image.height // scale))
        return image


FORMAT = Jpeg()


class _Scan(NamedTuple):
    """The first scan: the offset of its header, and whether others follow (progressive, or one for each channel)."""

    start: int
    is_one_of_several: bool


def _count_scans(content: bytes) -> int:
    scan = _first_scan(content)
    if not scan.is_one_of_several:
        return 1
    # Entropy-coded data cannot hold these two bytes.
    return 1 + content.count(b"\xff\xda", scan.start, content.find(_END, scan.start))


def _first_scan(content: bytes, chunks: ChunkLimit | None = None) -> _Scan:
    """Find the first scan; a file that was validated before needs no limit."""
    chunks = chunks or ChunkLimit(len(content))
    at = 2
    components, progressive = 0, False
    junk = exif_segments = marker = start = 0
    while marker != _START_OF_SCAN:
        chunks.count()
        found = _MARKER.search(content, at)
        if found is None:
            raise truncated(content, "no picture data begins")
        marker_at = found.end() - 1
        junk += marker_at - at - 1
        if junk > _MAX_JUNK_BYTES:
            raise corrupt(f"{junk:,} bytes between its segments belong to none of them")
        marker = content[marker_at]
        at = marker_at + 1
        if marker == _END[1]:
            raise corrupt("it ends before any picture data")
        if marker in {0x00, 0x01} or 0xD0 <= marker <= 0xD8:
            continue
        (length,) = struct.unpack_from(">H", content, at)
        if marker == 0xE1 and content[at + 2 : at + 6] == b"Exif":
            exif_segments += 1
            if exif_segments > _MAX_EXIF_SEGMENTS:
                raise PermanentError(
                    Reason.DECOMPRESSION_BOMB, f"The file carries more than {_MAX_EXIF_SEGMENTS} EXIF segments."
                )
        if marker in _FRAMES:
            progressive = marker in _PROGRESSIVE_FRAMES
            components = content[at + 7]
        start, at = at, at + max(length, 2)
    return _Scan(start, progressive or content[start + 2] < components)


def _samples_per_pixel(image: ImageFile) -> float:
    """Return 1.5 for 4:2:0, 3.0 for 4:4:4 ..."""
    layers = image.layer if isinstance(image, _Reader) else []
    widest = max((h * v for _, h, v, _ in layers), default=1) or 1
    return sum(h * v for _, h, v, _ in layers) / widest
