"""AVIF and HEIC files assembled around real streams, with statements about them that no writer makes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.inference.decoding.image_samples import encode, encode_heif

if TYPE_CHECKING:
    from PIL import Image

KINDS = ("AVIF", "HEIC")
_CODED = {"AVIF": b"av01", "HEIC": b"hvc1"}
_CONFIGURATION = {"AVIF": b"av1C", "HEIC": b"hvcC"}


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def written(kind: str, picture: Image.Image) -> bytes:
    if kind == "AVIF":
        return encode(picture, "AVIF", speed=10)
    return encode_heif(picture, quality=40, enc_params={"preset": "ultrafast"})


def with_stated_size(content: bytes, width: int, height: int) -> bytes:
    """Write another size into every ``ispe`` box."""
    at = content.index(b"ispe") + 8  # behind its name, version and flags
    while at > 7:
        content = content[:at] + struct.pack(">II", width, height) + content[at + 8 :]
        at = content.find(b"ispe", at) + 8
    return content


def taken_apart(kind: str, picture: Image.Image) -> tuple[bytes, bytes]:
    """Encode one picture and take its configuration box and its stream out of the file."""
    content = written(kind, picture)
    at = content.index(_CONFIGURATION[kind]) - 4
    (size,) = struct.unpack_from(">I", content, at)
    return content[at : at + size], content[content.index(b"mdat") + 4 :]


def put_together(
    kind: str,
    pictures: list[tuple[bytes, bytes]],
    size: tuple[int, int],
    *,
    grid: tuple[int, int, int, int] | None = None,
    extents: int = 1,
    in_idat: bool = False,
    transforms: tuple[bytes, ...] = (),
) -> bytes:
    """Write a file of the pictures ``taken_apart``, each declared with ``size``.

    Args:
        grid: Columns, rows, width and height of the picture that they are the tiles of; without it, the first is it.
        extents: How many pieces each stream is cut into.
        in_idat: Put the streams into the ``meta`` box.
        transforms: Boxes of more properties of the picture, in the order to apply them.
    """
    streams = [stream for _, stream in pictures]
    infos = [box(b"infe", struct.pack(">IHH4sB", 2 << 24, n + 1, 0, _CODED[kind], 0)) for n in range(len(streams))]
    configurations = list(dict.fromkeys(configuration for configuration, _ in pictures))
    properties = [box(b"ispe", struct.pack(">III", 0, *size)), *configurations]
    links = [(n + 1, [0x01, 0x80 | configurations.index(each[0]) + 2]) for n, each in enumerate(pictures)]
    primary, references = 1, b""
    if grid:
        columns, rows, *canvas = grid
        primary = len(streams) + 1
        infos.append(box(b"infe", struct.pack(">IHH4sB", 2 << 24, primary, 0, b"grid", 0)))
        properties.append(box(b"ispe", struct.pack(">III", 0, *canvas)))
        links.append((primary, [len(properties)]))
        numbers = range(1, primary)
        tiles = box(b"dimg", struct.pack(f">HH{len(numbers)}H", primary, len(numbers), *numbers))
        references = box(b"iref", bytes(4), tiles)
        streams.append(struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, *canvas))

    for transform in transforms:
        properties.append(transform)
        links[primary - 1][1].append(0x80 | len(properties))
    linked = [struct.pack(">HB", item, len(indices)) + bytes(indices) for item, indices in links]

    def meta(offset: int) -> bytes:
        places = b""
        for number, stream in enumerate(streams):
            step = -(-len(stream) // extents)
            cuts = range(0, len(stream), step)
            places += struct.pack(">HHHH", number + 1, int(in_idat), 0, len(cuts))
            for cut in cuts:
                places += struct.pack(">II", offset + cut, len(stream[cut : cut + step]))
            offset += len(stream)
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", struct.pack(">II4s12xB", 0, 0, b"pict", 0)),
            box(b"pitm", struct.pack(">IH", 0, primary)),
            box(b"iloc", struct.pack(">IBBH", 1 << 24, 0x44, 0x00, len(streams)), places),
            box(b"iinf", struct.pack(">IH", 0, len(infos)), *infos),
            references,
            box(b"iprp", box(b"ipco", *properties), box(b"ipma", struct.pack(">II", 0, len(linked)), *linked)),
            box(b"idat", *streams) if in_idat else b"",
        )

    start = box(b"ftyp", b"avif" if kind == "AVIF" else b"heic", bytes(4), b"mif1miaf")
    if in_idat:
        return start + meta(0)
    return start + meta(len(start) + len(meta(0)) + 8) + box(b"mdat", *streams)
