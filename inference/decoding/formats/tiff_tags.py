"""The tags of a TIFF that decide how it is decoded, and the kinds of TIFF that are refused by name."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from PIL import TiffImagePlugin

from inference.decoding.formats.refusals import unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.errors import PermanentError


class Tag(IntEnum):
    """Numbers of tags: TIFF 6.0, and the registered ones above 32,768."""

    NEW_SUBFILE_TYPE = 254
    WIDTH = 256
    HEIGHT = 257
    BITS_PER_SAMPLE = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    STRIP_OFFSETS = 273
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_LENGTHS = 279
    PLANAR = 284
    COLOR_MAP = 320
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_LENGTHS = 325
    SUB_DIRECTORIES = 330
    SAMPLE_FORMAT = 339
    YCBCR_SUBSAMPLING = 530
    ICC_PROFILE = 34675
    DNG_VERSION = 50706


PLAIN, JPEG = 1, 7  # Compression
FAX = frozenset({2, 3, 4})
DEFLATE = frozenset({8, 32946})
YCBCR = 6  # Photometric
_ONE_CHANNEL = frozenset({0, 1, 3})
_IN_PLANES = 2
_REDUCED = 1  # a bit of NewSubfileType

_RAW_PHOTOMETRICS = frozenset({32803, 34892})  # the colour filter of a sensor, and linear raw
_RAW_CODECS = frozenset({32767, 32769, 32770, 34713, 34892, 65000, 65535})  # Sony, Epson, Samsung, Nikon, Kodak, Pentax
_OTHER_CODECS = {
    6: "old-style JPEG",
    32766: "NeXT's run lengths",
    32895: "RasterPadding",
    32908: "Pixar's film codec",
    32909: "Pixar's logarithmic codec",
    34661: "JBIG",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34887: "LERC",
    34933: "PNG",
    34934: "JPEG XR",
    22610: "JPEG XR",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_PHOTOMETRICS = {
    0: "grey (zero is white)",
    1: "grey",
    2: "RGB",
    3: "palette",
    4: "mask",
    5: "CMYK",
    6: "YCbCr",
    8: "L*a*b*",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
}
_SAMPLE_FORMATS = {1: "unsigned", 2: "signed", 3: "floating-point", 4: "undefined", 5: "complex", 6: "complex"}


def refuse_misread(tags: Mapping[int, int]) -> None:
    """Refuse a TIFF that Pillow misreads, or calls damaged because its libtiff lacks the codec, and raw photos.

    Args:
        tags: The first value of each tag.

    Raises:
        PermanentError: ``unsupported_format``.
    """
    codec, photometric = tags.get(Tag.COMPRESSION, PLAIN), tags.get(Tag.PHOTOMETRIC, 0)
    if codec in _RAW_CODECS or photometric in _RAW_PHOTOMETRICS:
        raise unsupported("a camera raw file (such as NEF, ARW, SRW or PEF)")
    if codec in _OTHER_CODECS:
        raise unsupported(f"a TIFF compressed with {_OTHER_CODECS[codec]}")
    if codec not in TiffImagePlugin.COMPRESSION_INFO:
        raise unsupported(f"a TIFF with compression {codec}")
    if photometric == YCBCR and codec == PLAIN and tags.get(Tag.YCBCR_SUBSAMPLING, 2) != 1:
        raise unsupported("an uncompressed YCbCr TIFF with subsampled chroma")
    if photometric in _ONE_CHANNEL and tags.get(Tag.SAMPLES, 1) > 1 and tags.get(Tag.PLANAR) == _IN_PLANES:
        raise unsupported("a grey or palette TIFF with alpha in a plane of its own")
    if Tag.DNG_VERSION in tags:
        raise unsupported("a camera raw file (DNG)")
    if Tag.SUB_DIRECTORIES in tags and tags.get(Tag.NEW_SUBFILE_TYPE, 0) & _REDUCED:
        raise unsupported("a camera raw file (such as NEF)")


def refuse_samples(tags: Mapping[int, Any]) -> PermanentError:
    """Return the refusal of samples that Pillow has no mode for; ``tags`` are those of its reader."""
    photometric = tags.get(Tag.PHOTOMETRIC, 0)
    bits = tags.get(Tag.BITS_PER_SAMPLE, (1,))
    sample_format = _SAMPLE_FORMATS.get(tags.get(Tag.SAMPLE_FORMAT, (1,))[0], "unknown")
    color = _PHOTOMETRICS.get(photometric, f"photometric {photometric}")
    return unsupported(f"a TIFF of {tags.get(Tag.SAMPLES, 1)} x {bits[0]}-bit {sample_format} samples, {color}")
