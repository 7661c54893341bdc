"""Mutations that know the parts of one format: damage where random bytes seldom hit.

Scans of a JPEG, text chunks of a PNG, the layout of a TIFF, items of an AVIF or HEIC, the ends of a GIF.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_SIDES = [0, 1, 2, 15, 16, 17, 255, 256, 1000, 4096, 10_000, 16_384, 65_535, 65_536, 1 << 20, 0x7FFFFFFF, 0xFFFFFFFF]


def mutate_parts(content: bytes, dice: random.Random) -> bytes:
    """Damage one part that the format of ``content`` has; other formats stay as they are."""
    for signature, at, mutation in _MUTATIONS:
        if content[at : at + len(signature)] == signature:
            return mutation(content, dice)
    return content


def _in_scan(content: bytes, dice: random.Random) -> bytes:
    """Overwrite, cut out, double or shift coded data of a JPEG, put a marker in, or change a scan's header."""
    starts = _all(content, b"\xff\xda")
    if not starts:
        return content
    scan = dice.choice(starts)
    at, length = dice.randrange(scan, len(content)), dice.choice([1, 4, 30, 200])
    changed = bytearray(content)
    match dice.randrange(7):
        case 0:
            changed[at : at + length] = bytes(length)
        case 1:
            changed[at : at + length] = dice.randbytes(length)
        case 2:
            del changed[at : at + length]
        case 3:
            changed[at:at] = changed[at : at + length]
        case 4:
            changed[at:at] = dice.choice(
                [b"\xff\xd9", b"\xff\xd0", b"\xff\xd7", b"\xff\xff\xff", b"\xff\xdc\0\4\0\1", b"\xff\xc4\0\3\0"]
            )
        case 5:  # the selection of components, coefficients and bits
            header = min(scan + dice.randrange(4, 14), len(changed) - 1)
            changed[header] = dice.choice([0, 1, 2, 0x10, 0x11, 0x3F, 0x40, 0xFF])
        case _:
            end = starts[starts.index(scan) + 1] if scan != starts[-1] else len(content) - 2
            changed[end:end] = changed[scan:end] * dice.choice([1, 5, 40])
    return bytes(changed)


@cache
def _packed(megabytes: int) -> bytes:
    return zlib.compress(bytes(megabytes << 20), 1)


def _with_texts(content: bytes, dice: random.Random) -> bytes:
    """Put text chunks, profiles or EXIF blocks before or behind the pixels of a PNG: many, packed, or huge."""
    keyword = dice.choice([b"Comment", b"XML:com.adobe.xmp", b"Raw profile type exif", b"", b"k" * 90, b"Raw profile"])
    kind = dice.choice([b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"tIME", b"prIV"])
    body = dice.choice([b"text", dice.randbytes(300), bytes(100_000), _packed(1), _packed(8), _packed(48)])
    start = {b"iTXt": keyword + b"\0\1\0\0\0", b"zTXt": keyword + b"\0\0", b"iCCP": keyword + b"\0\0"}
    chunk = start.get(kind, keyword + b"\0") + body
    whole = struct.pack(">I", len(chunk)) + kind + chunk + struct.pack(">I", zlib.crc32(kind + chunk))
    count = dice.choice([1, 1, 2, 63, 1000] if len(whole) < 2000 else [1, 2, 10])
    at = content.find(dice.choice([b"IDAT", b"IEND", b"IHDR"])) - 4
    return content[:at] + whole * count + content[at:] if at > 0 else content


_TIFF_SHORT, _TIFF_LONG = 3, 4
_LAYOUT_TAGS = (256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 322, 323, 324, 325, 338, 339, 530)


def _with_another_layout(content: bytes, dice: random.Random) -> bytes:
    """Change or rename entries of a TIFF's directory: sizes of tiles and strips, samples, planes, codec."""
    order = "<" if content[:2] == b"II" else ">"
    changed = bytearray(content)
    try:
        (at,) = struct.unpack_from(order + "I", content, 4)
        (count,) = struct.unpack_from(order + "H", content, at)
        entries = range(at + 2, at + 2 + 12 * count, 12)
        for _ in range(dice.choice([1, 1, 2, 4])):
            entry = dice.choice(entries)
            tag, kind, number, value = struct.unpack_from(order + "HHII", content, entry)
            if dice.random() < 0.3:
                tag = dice.choice(_LAYOUT_TAGS)
            if dice.random() < 0.8:
                kind = dice.choice([_TIFF_SHORT, _TIFF_LONG])
                value = dice.choice([*_SIDES, 3, 4, 5, 6, 7, 8, 32_773, 34_925, 50_000])
                number = dice.choice([1, 1, 1, number, 3, 70_000])
            struct.pack_into(order + "HHI", changed, entry, tag, kind, number)
            if kind == _TIFF_SHORT and number == 1:
                struct.pack_into(order + "HH", changed, entry + 8, value & 0xFFFF, 0)
            else:
                struct.pack_into(order + "I", changed, entry + 8, value & 0xFFFFFFFF)
    except (struct.error, IndexError):
        return content
    return bytes(changed)


_BOXES = (
    b"iloc", b"iinf", b"infe", b"iref", b"dimg", b"auxl", b"pitm", b"ipma", b"ispe", b"ipco", b"hvcC", b"av1C",
    b"meta", b"mdat", b"irot", b"imir", b"clap", b"pixi", b"colr", b"grid", b"hvc1", b"av01", b"moov", b"stsz",
)  # fmt: skip


def _with_other_items(content: bytes, dice: random.Random) -> bytes:
    """Change a box of an AVIF or HEIC: its length, its name, its numbers, or the place of an item."""
    found = [at for kind in _BOXES for at in _all(content, kind)]
    if not found:
        return content
    at = dice.choice(found)
    changed = bytearray(content)
    match dice.randrange(5):
        case 0:
            struct.pack_into(">I", changed, at - 4, dice.choice([0, 1, 7, 8, 12, 20, len(content), 0xFFFFFFFF]))
        case 1:
            changed[at : at + 4] = dice.choice(_BOXES)
        case 2:
            place = min(at + 4 + dice.randrange(24), len(changed) - 1)
            changed[place] = dice.choice([0, 1, 2, 4, 0x44, 0x7F, 0x80, 0xFF])
        case 3:
            place = min(at + 8 + 4 * dice.randrange(4), len(changed) - 4)
            struct.pack_into(">I", changed, place, dice.choice(_SIDES))
        case _:
            (length,) = struct.unpack_from(">I", content, at - 4)
            box = content[at - 4 : at - 4 + min(length, 5000)]
            changed[at - 4 : at - 4] = box * dice.choice([1, 2, 300])
    return bytes(changed)


def _with_another_end(content: bytes, dice: random.Random) -> bytes:
    """End a GIF elsewhere: cut it, fill it up, repeat a frame, or state another place or size of one."""
    frames = _all(content, b"\0,") or [len(content) - 2]
    frame = dice.choice(frames) + 1
    match dice.randrange(5):
        case 0:
            return content[: dice.randrange(13, len(content))]
        case 1:
            return content.removesuffix(b";") + dice.choice([b"", b"\0", b"\0;", b";;", b"!", b",", bytes(300)])
        case 2:
            return content[:frame] + content[frame:-1] * dice.choice([2, 20, 300]) + b";"
        case 3:
            place = struct.pack("<HHHH", *(dice.choice(_SIDES) & 0xFFFF for _ in range(4)))
            return content[: frame + 1] + place + content[frame + 9 :]
        case _:
            size = struct.pack("<HH", *(dice.choice(_SIDES) & 0xFFFF for _ in range(2)))
            return content[:6] + size + content[10:]


def _all(content: bytes, part: bytes) -> list[int]:
    found: list[int] = []
    at = content.find(part)
    while at >= 0 and len(found) < 200:
        found.append(at)
        at = content.find(part, at + 1)
    return found


_MUTATIONS: tuple[tuple[bytes, int, Callable[[bytes, random.Random], bytes]], ...] = (
    (b"\xff\xd8", 0, _in_scan),
    (b"\x89PNG", 0, _with_texts),
    (b"II*\0", 0, _with_another_layout),
    (b"MM\0*", 0, _with_another_layout),
    (b"ftyp", 4, _with_other_items),
    (b"GIF8", 0, _with_another_end),
)
