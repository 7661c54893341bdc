"""Detects the format of a file from its content; file names and extensions are ignored.

A known format that is not supported is refused by its name: the row says why a PDF or a raw photo has no label.
"""

from __future__ import annotations

import re
import struct

from inference.decoding.formats.refusals import unsupported
from inference.errors import PermanentError, Reason

_SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
)

# Signature -> the name for people. Sources: each format's own specification.
_UNSUPPORTED = (
    (b"8BPS", "a Photoshop document (PSD)"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (b"FUJIFILMCCD-RAW", "a camera raw file (Fujifilm RAF)"),
    (b"IIRO", "a camera raw file (Olympus ORF)"),
    (b"IIRS", "a camera raw file (Olympus ORF)"),
    (b"MMOR", "a camera raw file (Olympus ORF)"),
    (b"IIU\x00", "a camera raw file (Panasonic RW2)"),
    (b"FOVb", "a camera raw file (Sigma X3F)"),
    (b"\x00MRM", "a camera raw file (Minolta MRW)"),
    (b"II\x1a\x00\x00\x00HEAPCCDR", "a camera raw file (Canon CRW)"),
    (b"MM\x00\x1a", "a camera raw file (Canon CRW)"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"gimp xcf", "a GIMP document (XCF)"),
    (b"qoif", "QOI"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"DDS ", "DirectDraw Surface (DDS)"),
    (b"SIMPLE  =", "FITS"),
    (b"icns", "an Apple icon (ICNS)"),
    (b"\x8aMNG\r\n\x1a\n", "MNG"),
    (b"BPG\xfb", "BPG"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile (WMF)"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (b"\x00\x00\x01\xba", "an MPEG video"),
    (b"\x00\x00\x01\xb3", "an MPEG video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media video"),
    (b"FLV\x01", "a Flash video"),
    (b"OggS", "an Ogg recording"),
    (b"ID3", "an MP3 recording"),
    (b"fLaC", "a FLAC recording"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office document"),
    (b"{\\rtf", "an RTF document"),
    (b"AT&TFORM", "DjVu"),
    (b"\x01\xda", "a Silicon Graphics image (SGI)"),
    (b"SDPX", "DPX"),
    (b"XPDS", "DPX"),
    (b"\x0a\x05\x01", "PCX"),
    (b"\x59\xa6\x6a\x95", "a Sun raster image"),
    (b"\x8bJNG\r\n\x1a\n", "JNG"),
    (b"/* XPM", "XPM"),
    (b"id=ImageMagick", "MIFF"),
    (b"PF\n", "a portable float map (PFM)"),
    (b"farbfeld", "farbfeld"),
)

# Compiled at their first use: most processes never meet such a file.
_UNSUPPORTED_PATTERNS = (
    (rb"(?s).{0,1019}%PDF-", "a PDF document"),  # anywhere in the first 1,024 bytes
    (rb"(?s).{4}(moov|mdat|wide|free)", "a QuickTime video (MOV)"),
    (rb"(?s).{128}DICM", "a DICOM image"),
    (rb"P[1-7]\s", "a portable any-map (PNM)"),
    (rb"(?s)\x00\x00\x02\x00[^\x00]\x00.{3}\x00", "a Windows cursor (CUR)"),
    # Truevision TGA: identifier, colour map, kind, map (5), origin (4), size (4), depth, flags.
    (
        rb"(?s).(\x00[\x02\x03\x0a\x0b].{9}|\x01[\x01\x09]....[\x0f\x10\x18\x20]....)....[\x08\x0f\x10\x18\x20][\x00-\x3f]",
        "a TGA picture",
    ),
)

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
)
# Brands of HEIF with other codecs (ISO/IEC 23008-12, annexes E to L, and 23001-17).
_OTHER_HEIF_BRANDS = {
    b"avci": "a HEIF image coded in H.264 (AVC)",
    b"avcs": "a HEIF image sequence coded in H.264 (AVC)",
    b"jpeg": "a HEIF image coded in JPEG",
    b"jpgs": "a HEIF image sequence coded in JPEG",
    b"j2ki": "a HEIF image coded in JPEG 2000",
    b"j2is": "a HEIF image sequence coded in JPEG 2000",
    b"vvic": "a HEIF image coded in H.266 (VVC)",
    b"vvis": "a HEIF image sequence coded in H.266 (VVC)",
    b"evbi": "a HEIF image coded in EVC",
    b"evmi": "a HEIF image coded in EVC",
    b"mif3": "a HEIF or AVIF image with a minimized header (mif3)",
}
_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_TIFF_SIGNATURES = frozenset({b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"})
_HEAD_BYTES = 1024  # that are searched for an unsupported format


def detect_format(content: bytes) -> str:
    """Return the name of the content's format.

    Returns:
        One of ``jpeg png webp gif bmp tiff avif jpeg2000 ico heif``.

    Raises:
        PermanentError: ``empty``, ``unsupported_format`` (the detail names it) or ``not_an_image``.
    """
    if not content:
        raise PermanentError(Reason.EMPTY, "The file has no content: 0 bytes.")
    for signature, name in _SIGNATURES:
        if content.startswith(signature):
            return name
    if content[:4] == b"RIFF":
        return _detect_riff(content)
    if content[4:8] == b"ftyp":
        return _detect_isobmff(content)
    if content[:4] in _TIFF_SIGNATURES:
        if content[8:10] == b"CR" and content[:2] == b"II":
            raise unsupported("a camera raw file (Canon CR2)")
        return "tiff"
    if content[:4] == b"\x00\x00\x01\x00" and content[4:6] != b"\x00\x00":
        return "ico"
    if content[:2] == b"BM" and content[14:15] and content[14] in _BMP_HEADER_SIZES and content[15:18] == bytes(3):
        return "bmp"
    raise _refusal(content)


def _detect_riff(content: bytes) -> str:
    kind = content[8:12]
    if kind == b"WEBP":
        return "webp"
    if kind == b"AVI ":
        raise unsupported("an AVI video")
    if kind == b"WAVE":
        raise unsupported("a WAV recording")
    raise unsupported("a RIFF file other than WebP")


def _detect_isobmff(content: bytes) -> str:
    """Distinguish AVIF, HEIF and videos: they share one container and differ in the brands that they list."""
    (size,) = struct.unpack(">I", content[:4])
    end = min(size, len(content), _HEAD_BYTES)
    major = content[8:12]
    brands = {major} | {content[at : at + 4] for at in range(16, end - 3, 4)}
    if major in _AVIF_BRANDS or (major in {b"mif1", b"msf1"} and brands & _AVIF_BRANDS):
        return "avif"
    if major in _HEIF_BRANDS:
        return "heif"
    if major in _OTHER_HEIF_BRANDS:
        raise unsupported(_OTHER_HEIF_BRANDS[major])
    if major == b"crx ":
        raise unsupported("a camera raw file (Canon CR3)")
    if major == b"qt  ":
        raise unsupported("a QuickTime video (MOV)")
    if major[:3] in {b"M4A", b"M4B"}:
        raise unsupported("an MPEG-4 recording")
    raise unsupported("an MPEG-4 video (MP4)")


def _refusal(content: bytes) -> PermanentError:
    head = content[:_HEAD_BYTES]
    for signature, name in _UNSUPPORTED:
        if head.startswith(signature):
            return unsupported(name)
    for pattern, name in _UNSUPPORTED_PATTERNS:
        if re.match(pattern, head):
            return unsupported(name)
    from inference.decoding.formats.no_image import refuse_no_image  # no image needs it

    return refuse_no_image(content, head)
