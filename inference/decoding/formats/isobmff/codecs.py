"""Names the codecs of HEIF pictures, by the types of their items and samples (ISO/IEC 23008-12 and 23001-17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.decoding.formats.refusals import unsupported

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from inference.decoding.formats.isobmff.items import CodedItem

_CODECS = {
    b"avc1": "H.264 (AVC)",
    b"avc3": "H.264 (AVC)",
    b"hvc1": "H.265 (HEVC)",
    b"hev1": "H.265 (HEVC)",
    b"lhv1": "layered H.265 (L-HEVC)",
    b"lhe1": "layered H.265 (L-HEVC)",
    b"vvc1": "H.266 (VVC)",
    b"vvi1": "H.266 (VVC)",
    b"evc1": "EVC",
    b"av01": "AV1",
    b"j2k1": "JPEG 2000",
    b"jpeg": "JPEG",
    b"mjpg": "JPEG",
    b"jxlc": "JPEG XL",
    b"unci": "uncompressed samples",
    b"uncv": "uncompressed samples",
    b"mski": "a mask",
}


def refuse_other_codecs(items: Iterable[CodedItem], decoded: Collection[bytes], *, is_sequence: bool = False) -> None:
    """Refuse a picture of which a part is coded by a codec that is not decoded.

    Args:
        items: The coded parts.
        decoded: The types that are decoded.
        is_sequence: Whether they are samples of a sequence.

    Raises:
        PermanentError: ``unsupported_format``, with the name of the codec.
    """
    what = "a HEIF image sequence" if is_sequence else "a HEIF image"
    for item in items:
        if item.kind in _CODECS and item.kind not in decoded:
            raise unsupported(f"{what} coded in {_CODECS[item.kind]}")
