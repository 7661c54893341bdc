"""JPEG: baseline and progressive, decoded by libjpeg-turbo through ``simplejpeg`` (ADR 17).

Pillow hides libjpeg's warnings, so a picture of which a cluster was lost would count as whole. Pillow decodes only
pictures with sampling factors that ``simplejpeg`` does not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from inference.decoding.color_profile import name_profile
from inference.decoding.formats.image_format import Header, ImageFormat, PartialImageError
from inference.decoding.formats.jpeg_damage import diagnose, find_offset, has_sign_of_loss
from inference.decoding.formats.jpeg_pixels import Colours, RemarkKind, decode_pixels, decode_unusual_sampling
from inference.decoding.formats.jpeg_segments import END, read_segments
from inference.decoding.formats.refusals import corrupt, unsupported
from inference.decoding.memory_cost import DecoderMemory, image_bytes
from inference.decoding.orientation import read_orientation
from inference.decoding.partial import Part
from inference.errors import PermanentError, Reason
from inference.predictions import ImageInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.decoding.formats.jpeg_damage import Damage
    from inference.decoding.formats.jpeg_segments import Segments
    from inference.decoding.pixels import Mode
    from inference.limits import Limits

_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_HIERARCHICAL = frozenset({0xC5, 0xC6, 0xCD, 0xCE})
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}  # by the number of components

# A decoder goes over the whole picture in each scan: about 1.5 ns a pixel. This is 200 megapixels in 15 scans, where
# libjpeg writes 10 for a colour photo and 18 for four inks.
_MAX_SCANNED_PIXELS = 3_000_000_000
_COEFFICIENT_BYTES = 2  # libjpeg's JCOEF
_DIAGNOSIS_BYTES = 4 / 64  # a pixel: an eighth of the size in four channels


class Jpeg(ImageFormat):
    """Baseline and progressive JPEG; the first picture of an MPO."""

    name = "jpeg"

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that a scan begins. Only decoding shows whether all of it is there: an end marker proves nothing."""
        read_segments(content, chunks)
        return 1

    def read_header(self, content: bytes, frames: int, limits: Limits) -> Header:  # noqa: ARG002 - one interface
        """Read the header of a file that ``validate`` has passed.

        Where there are several scans (progressive, or one for each component), the coefficients of the whole picture
        are held before the first pixel appears, at full scale. Beside them is the decoder's array, and for a picture
        that libjpeg remarks on a copy of the file. A colour image is then made from the array; grey and ink images
        share it.

        Raises:
            PermanentError: ``unsupported_format``, ``corrupt``.
        """
        segments = read_segments(content)
        _refuse_unsupported(segments)
        orientation = read_orientation(segments.exif, segments.xmp)
        pixels = segments.width * segments.height
        coefficients = _COEFFICIENT_BYTES * segments.samples_per_pixel * pixels if segments.has_several_scans else 0.0
        size = segments.width, segments.height
        components = len(segments.sampling)
        mode = _MODES[components]
        decoded, image = components * pixels, image_bytes(*size, mode)
        return Header(
            info=ImageInfo(*orientation.swap(size), self.name, _name_profile(content, segments)),
            orientation=orientation,
            mode=mode,
            frames=frames,
            decoder_memory=DecoderMemory(
                peak=decoded,
                held=image,
                fixed=coefficients + len(content) + _DIAGNOSIS_BYTES * pixels,
                delivery=decoded + image if mode == "RGB" else image,
            ),
            decoder_scales=(8, 4, 2),
            exif=segments.exif,
        )

    def refuse(self, header: Header, content: bytes) -> None:
        """Refuse a picture in very many scans."""
        scans = _count_scans(content)
        if scans * header.pixels > _MAX_SCANNED_PIXELS:
            detail = f"The JPEG codes {header.pixels:,} pixels in {scans:,} scans; encoders write about ten."
            raise PermanentError(Reason.DECOMPRESSION_BOMB, detail, header.info)

    def decode(self, content: bytes, mode: Mode, scale: int) -> Image.Image:
        """Decode the first picture, divided by ``scale`` in both axes; it may be in ``mode`` already."""
        segments = read_segments(content)
        colours = _colours(segments, mode)
        pixels, remark = decode_pixels(content, (segments.width, segments.height), colours, scale)
        if remark is not None and remark.kind is RemarkKind.UNUSUAL_SAMPLING:
            if len(segments.sampling) != 3:
                raise unsupported("a JPEG of four components with unusual sampling factors")
            return decode_unusual_sampling(content, scale)
        if remark is None and not has_sign_of_loss(content, segments):
            damage = find_offset(content, segments, pixels, scale)
        else:
            del pixels  # the diagnosis decodes them again
            pixels, damage = diagnose(content, segments, colours, scale)
        image = _to_image(pixels, colours)
        if damage is None:
            return image
        good_rows = damage.good_rows
        if good_rows == 0 and damage.reason is Reason.TRUNCATED and _count_scans(content) > 1:
            good_rows = segments.height  # the scans before the one that was cut are complete
        # The rows below show what the other scans hold: for a model that is far more than nothing (ADR 18).
        missing = range(0) if segments.has_several_scans else range(good_rows // scale, image.height)
        part = Part(image, good_rows / segments.height, missing)
        raise PartialImageError(damage.reason, _explain(damage, segments.height), part)


FORMAT = Jpeg()


def _name_profile(content: bytes, segments: Segments) -> str | None:
    """Return the name of the profile, which may be cut into segments, if it differs from sRGB."""
    if not segments.profile:
        return None
    return name_profile(b"".join(content[start:end] for _, start, end in sorted(segments.profile)))


def _refuse_unsupported(segments: Segments) -> None:
    frame, components = segments.frame, len(segments.sampling)
    if frame in _LOSSLESS:
        raise unsupported("a lossless JPEG")
    if frame in _HIERARCHICAL:
        raise unsupported("a hierarchical JPEG")
    if frame not in {_BASELINE, _EXTENDED, _PROGRESSIVE}:
        raise unsupported("an arithmetic-coded JPEG")
    if segments.precision != 8:
        raise unsupported(f"a JPEG of {segments.precision} bits per sample")
    if components not in _MODES:
        raise unsupported(f"a JPEG of {components} components")
    if not segments.width:
        raise corrupt("its picture is 0 pixels wide")
    if not segments.height:
        raise unsupported("a JPEG that states its height behind the picture")
    if not all(1 <= factor <= 4 for pair in segments.sampling for factor in pair):
        raise corrupt("it states sampling factors that do not exist")


def _count_scans(content: bytes) -> int:
    segments = read_segments(content)
    if not segments.has_several_scans:
        return 1
    # Entropy-coded data cannot hold these two bytes.
    return 1 + content.count(b"\xff\xda", segments.scan + 2, content.find(END, segments.scan))


def _colours(segments: Segments, mode: Mode) -> Colours:
    components = len(segments.sampling)
    return "CMYK" if components == 4 else "GRAY" if components == 1 or mode == "L" else "RGB"


def _to_image(pixels: NDArray[np.uint8], colours: Colours) -> Image.Image:
    """Return a Pillow image; four inks are coded inverted, with Adobe's marker or without."""
    if colours == "CMYK":
        height, width, _ = pixels.shape
        return Image.frombuffer("CMYK", (width, height), np.invert(pixels, out=pixels), "raw", "CMYK", 0, 1)
    return Image.fromarray(pixels[:, :, 0] if colours == "GRAY" else pixels)


def _explain(damage: Damage, height: int) -> str:
    if damage.reason is Reason.TRUNCATED and damage.good_rows == height:
        return f"The JPEG ends too early: all {height:,} rows are there, but scans that make them sharp are missing."
    if damage.reason is Reason.TRUNCATED:
        return (
            f"The JPEG ends too early: the picture data reaches to row {damage.good_rows:,} of {height:,}"
            f" ({damage.good_rows / height:.0%} of the height as stored)."
        )
    if damage.good_rows == 0:
        return f"The JPEG's picture data is damaged from the first of its {height:,} rows on."
    return (
        f"The JPEG's picture data is damaged: the picture is good to about row {damage.good_rows:,} of {height:,}"
        f" ({damage.good_rows / height:.0%} of the height as stored)."
    )
