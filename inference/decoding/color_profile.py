"""Names an embedded ICC profile whose colours differ from sRGB (ICC.1:2022, in whose terms the comments are written).

Profiles are not applied (docs/adr/0019-colour-profiles.md); a row names the one that was ignored. Only the header and a
few tags are read: tens of microseconds for a photo that has a profile.
"""

from __future__ import annotations

import struct
from functools import lru_cache

MAX_NAME_LENGTH = 80  # characters

_SIGNATURE_AT, _COLOR_SPACE_AT, _TAG_TABLE_AT = 36, 16, 128
_MAX_TAGS = 100
_PRIMARIES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_TRANSFERS = {16: "PQ", 18: "HLG"}
_CACHED_BYTES = 16 * 1024  # the photos of one camera have one profile
_NO_NAME = "unnamed profile"
# The colorants of sRGB under D50 (IEC 61966-2-1, as in the profile of the ICC), and how far writers round them.
_SRGB = {b"rXYZ": (0.4361, 0.2225, 0.0139), b"gXYZ": (0.3851, 0.7169, 0.0971), b"bXYZ": (0.1431, 0.0606, 0.7141)}
_TOLERANCE = 0.01
_CURVES = {b"RGB ": b"gTRC", b"GRAY": b"kTRC"}
# Half the code value as linear light: 0.214 with sRGB, 0.218 with a gamma of 2.2, 0.287 with 1.8, 0.5 without any.
_MIDDLE_OF_SRGB = 0.17, 0.26


def name_profile(profile: object) -> str | None:
    """Return the profile's name if its colours are not those of sRGB.

    Args:
        profile: The ICC profile, perhaps without its end; anything but bytes counts as an absent profile.

    Returns:
        Its description in printable characters, at most ``MAX_NAME_LENGTH``; ``None`` for an absent profile, for one
        that cannot be read, and for one like sRGB.
    """
    if not isinstance(profile, bytes):
        return None
    return _cached(profile) if len(profile) <= _CACHED_BYTES else _read_name(profile)


def name_cicp(primaries: int, transfer: int) -> str | None:
    """Return the name of coding-independent code points (ITU-T H.273) if their colours are not those of sRGB.

    Args:
        primaries: ``ColourPrimaries``; 1 is sRGB's, 2 unspecified.
        transfer: ``TransferCharacteristics``; 16 and 18 are those of high dynamic range.
    """
    names = [_PRIMARIES.get(primaries), _TRANSFERS.get(transfer)]
    return " ".join(name for name in names if name) or None


def _read_name(profile: bytes) -> str | None:
    if profile[_SIGNATURE_AT : _SIGNATURE_AT + 4] != b"acsp":
        return None
    try:
        tags = _read_tags(profile)
        if _is_like_srgb(profile, tags):
            return None
        return _clean(_description(profile, tags)) or _NO_NAME
    except struct.error:  # the profile ends early
        return None


_cached = lru_cache(maxsize=32)(_read_name)


def _read_tags(profile: bytes) -> dict[bytes, int]:
    """Return the offset of each tag's data."""
    (count,) = struct.unpack_from(">I", profile, _TAG_TABLE_AT)
    entries = range(_TAG_TABLE_AT + 4, _TAG_TABLE_AT + 4 + 12 * min(count, _MAX_TAGS), 12)
    return dict(struct.unpack_from(">4sI", profile, at) for at in entries)


def _is_like_srgb(profile: bytes, tags: dict[bytes, int]) -> bool:
    """Return whether the colorants and the curve are those of sRGB, or about; tables of colours are not compared."""
    space = profile[_COLOR_SPACE_AT : _COLOR_SPACE_AT + 4]
    curve = _CURVES.get(space)
    if curve not in tags or b"A2B0" in tags:
        return False
    if space == b"RGB ":
        for tag, expected in _SRGB.items():
            if tag not in tags:
                return False
            found = struct.unpack_from(">3i", profile, tags[tag] + 8)
            if any(abs(value / 65_536 - stated) > _TOLERANCE for value, stated in zip(found, expected, strict=True)):
                return False
    least, most = _MIDDLE_OF_SRGB
    return least <= _middle(profile, tags[curve]) <= most


def _middle(profile: bytes, at: int) -> float:
    """Return the linear light of half the code value, 0..1 (``curveType``, ``parametricCurveType``)."""
    kind, count = struct.unpack_from(">4s4xI", profile, at)
    if kind == b"para":
        function = count >> 16
        (gamma,) = struct.unpack_from(">i", profile, at + 12)
        if function == 0:
            return float(0.5 ** (gamma / 65_536))
        scale, offset = (value / 65_536 for value in struct.unpack_from(">2i", profile, at + 16))
        return float(max(0.0, 0.5 * scale + offset) ** (gamma / 65_536))
    if count == 0:
        return 0.5
    if count == 1:
        (gamma,) = struct.unpack_from(">H", profile, at + 12)
        return float(0.5 ** (gamma / 256))
    (value,) = struct.unpack_from(">H", profile, at + 12 + 2 * (count // 2))
    return float(value / 65_535)


def _description(profile: bytes, tags: dict[bytes, int]) -> str:
    """Return the text of the description (``multiLocalizedUnicodeType``, or ``textDescriptionType`` of version 2)."""
    at = tags.get(b"desc")
    if at is None:
        return ""
    kind, count = struct.unpack_from(">4s4xI", profile, at)
    if kind == b"mluc" and count:
        length, offset = struct.unpack_from(">II", profile, at + 20)
        return profile[at + offset : at + offset + min(length, 1_000)].decode("utf-16-be", "replace")
    if kind == b"desc":
        return profile[at + 12 : at + 12 + min(count, 1_000)].decode("latin-1")
    return ""


def _clean(text: str) -> str:
    """Return the text on one line, without characters that are not shown; it may come from anyone."""
    shown = "".join(char if char.isprintable() else " " for char in text.partition("\0")[0])
    return " ".join(shown.split())[:MAX_NAME_LENGTH].rstrip()
