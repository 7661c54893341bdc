"""JPEG 2000: a codestream, bare or in the boxes of a JP2 file.

Field names in comments are those of ISO/IEC 15444-1, annexes A.5.1 (``SIZ``), A.6.1 (``COD``) and A.6.2 (``COC``).
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from PIL import Jpeg2KImagePlugin

from inference.decoding.color_profile import name_profile
from inference.decoding.formats.chunk_limit import ChunkLimit
from inference.decoding.formats.image_format import Header, ImageFormat
from inference.decoding.formats.isobmff.boxes import boxes, check_boxes
from inference.decoding.formats.refusals import truncated, unsupported
from inference.decoding.memory_cost import DecoderMemory
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

    from inference.decoding.pixels import Mode
    from inference.limits import Limits

_CODESTREAM = b"\xff\x4f\xff\x51"  # SOC, then SIZ
_TILE_PART = b"\xff\x90"  # SOT
_TILE_PART_HEADER = struct.Struct(">2sHHIBB")  # marker, length, tile, length of the part, number of the part, parts
_END = b"\xff\xd9"  # EOC
_SIZES = struct.Struct(">8I")  # of the picture and its offset, then of a tile and its offset
_SIZES_AT = 8  # behind the two markers, the segment's length and the capabilities
_COMPONENT = struct.Struct(">BBB")  # Ssiz, XRsiz, YRsiz
_RESTRICTED_PROFILE = 2  # METH of a box for colours: an ICC profile follows
_DEPTH = 0x7F  # of Ssiz; the bit above it says whether samples are signed


_SAMPLE_BYTES = 4  # OpenJPEG decodes to 32-bit samples
_TILE_BYTES = 12 * 1024  # OpenJPEG's coding parameters; 11.1 KiB measured with 43,691 tiles of 1 x 24
_BLOCK_BYTES = 448  # OpenJPEG's code-block: 405 measured with flat, 440 with noisy pictures in blocks of 4 x 4


class Jpeg2000(ImageFormat):
    """JPEG 2000."""

    name = "jpeg2000"
    reader = Jpeg2KImagePlugin.Jpeg2KImageFile
    can_state_any_size = True

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that the boxes of a JP2 file, or the end mark of a bare codestream, are there; that mark may miss."""
        if missing_end(content, chunks):
            return 1
        if not content.startswith(b"\xff\x4f"):
            check_boxes(content, chunks)
        elif content.rfind(_END) < 0:
            raise truncated(content, "the end-of-codestream marker is missing")
        return 1

    def describe(self, image: ImageFile, content: bytes, frames: int, limits: Limits) -> Header:
        """Return the header of an opened image, and refuse a layout that its decoder gets wrong."""
        codestream = read_codestream(content)
        refuse_sheared_chroma(codestream)
        refuse_wrapped_depth(codestream, image.mode)
        header = super().describe(image, content, frames, limits)
        delivered = header.decoder_memory.held
        samples = len(image.getbands())
        at_once = min(codestream.tile_pixels, image.width * image.height)
        copied = delivered / (image.width * image.height)  # of a pixel: the decoder's samples, in the image's mode
        tile = (_SAMPLE_BYTES * samples + copied + _BLOCK_BYTES * samples / codestream.block_samples) * at_once
        is_stretched = bool(codestream.depths) and min(codestream.depths) < _EIGHT_BITS
        memory = DecoderMemory(
            peak=delivered + tile + _TILE_BYTES * codestream.tiles,
            held=delivered,
            delivery=delivered * (1 + is_stretched),
        )
        return header._replace(decoder_memory=memory)

    def read_color_profile(self, content: bytes) -> str | None:
        """Return the name of the profile in the box ``colr`` of a JP2 file."""
        if content.startswith(_CODESTREAM):
            return None
        chunks = ChunkLimit(len(content))
        for outer in boxes(content, 0, len(content), chunks):
            for box in boxes(content, outer.start, outer.end, chunks) if outer.kind == b"jp2h" else ():
                if box.kind == b"colr" and content[box.start] == _RESTRICTED_PROFILE:
                    return name_profile(content[box.start + 3 : box.end])
        return None

    def decode(self, content: bytes, mode: Mode, scale: int) -> Image.Image:
        """Decode the picture; Pillow moves samples of fewer than 8 bits up, so that white is 128 with one bit."""
        image = super().decode(content, mode, scale)
        depths = read_codestream(content).depths
        if not depths or min(depths) >= _EIGHT_BITS or image.mode == "I;16":
            return image
        if image.mode in {"P", "PA"}:
            return image.point(_to_index(depths[0]) * len(image.getbands()))
        return image.point([level for depth in depths for level in _to_level(depth)])

    def open(self, content: bytes) -> ImageFile:
        """Open the content; OpenJPEG decodes nothing of a codestream without its end mark."""
        end = missing_end(content, ChunkLimit(len(content)))
        return super().open(content + end if end else content)


FORMAT = Jpeg2000()


class Codestream(NamedTuple):
    """The layout of a picture, in pixels of the reference grid."""

    left: int
    right: int
    tile_width: int
    tile_left: int
    tiles: int
    tile_pixels: int
    across: int  # pixels per sample: the most of all components
    block_samples: int  # the smallest code-block that any part of it may be cut into; 4,096 is usual, 16 the least
    depths: tuple[int, ...] = ()  # bits of a sample of each component


_SMALLEST_BLOCK = 16
_EIGHT_BITS, _SIXTEEN_BITS = 8, 16
# Levels, the exponents of a block's width and height (less two), style, transform; a size of precincts for each level
# may follow, as Scod or Scoc states.
_STYLE = rb"([\x00-\x20])([\x00-\x08])([\x00-\x08])[\x00-\x3f][\x00\x01]"
_STYLES = (
    re.compile(rb"(?=\xff\x52\x00[\x0c-\x2d]([\x00-\x07])[\x00-\x04]..[\x00\x01]" + _STYLE + rb")", re.DOTALL),
    re.compile(rb"(?=\xff\x53\x00[\x09-\x2a].([\x00\x01])" + _STYLE + rb")", re.DOTALL),
    re.compile(rb"(?=\xff\x53\x00[\x0a-\x2b]..([\x00\x01])" + _STYLE + rb")", re.DOTALL),
)
_UNKNOWN = Codestream(0, 1, 1, 0, 1, 1, 1, _SMALLEST_BLOCK)  # of nonsense, which the decoder refuses


def read_codestream(content: bytes) -> Codestream:
    """Read the layout of the first codestream."""
    try:
        at = _codestream_at(content) + _SIZES_AT
        right, bottom, left, _, width, height, tile_left, tile_top = _SIZES.unpack_from(content, at)
        at += _SIZES.size
        (components,) = struct.unpack_from(">H", content, at)
        each = [_COMPONENT.unpack_from(content, at + 2 + n * _COMPONENT.size) for n in range(components)]
    except struct.error:
        return _UNKNOWN
    if not (width and height and right > tile_left and bottom > tile_top):
        return _UNKNOWN
    tiles = -(-(right - tile_left) // width) * -(-(bottom - tile_top) // height)
    widest = max((across for _, across, _ in each), default=1)
    depths = tuple((depth & _DEPTH) + 1 for depth, _, _ in each)
    tile = width * height
    return Codestream(left, right, width, tile_left, tiles, tile, widest, _smallest_block(content), depths)


def missing_end(content: bytes, chunks: ChunkLimit) -> bytes:
    """Return the bytes of the end mark that a codestream lacks; empty where it has one, or lacks more."""
    seen: Counter[int] = Counter()  # tile -> its parts that are there
    promised: dict[int, int] = {}  # tile -> its parts, where one of them says how many there are
    at = _codestream_at(content) + 2
    try:
        while not content.startswith(_TILE_PART, at):  # the segments of the main header
            chunks.count()
            marker, length = struct.unpack_from(">BxH", content, at)
            if marker != 0xFF:
                return b""
            at += 2 + length
        while content.startswith(_TILE_PART, at):
            chunks.count()
            _, _, tile, length, _, parts = _TILE_PART_HEADER.unpack_from(content, at)
            if not length:  # the part reaches to the end mark
                return b""
            seen[tile] += 1
            promised[tile] = max(parts, promised.get(tile, 0))
            at += length
    except struct.error:
        return b""
    is_whole = len(seen) == read_codestream(content).tiles and all(0 < promised[tile] <= seen[tile] for tile in seen)
    left = content[at : at + len(_END)]
    return _END[len(left) :] if is_whole and at <= len(content) and left in {b"", _END[:1]} else b""


def refuse_wrapped_depth(codestream: Codestream, mode: str) -> None:
    """Refuse colours, and grey with alpha, of more than 8 bits: Pillow (13.0) rounds white up to 256, which is black.

    Args:
        codestream: The layout of the picture.
        mode: Pillow's mode; grey of 16 bits is decoded to ``I;16``, which is right.

    Raises:
        PermanentError: ``unsupported_format``.
    """
    depth = max(codestream.depths, default=_EIGHT_BITS)
    if depth > _SIXTEEN_BITS or (depth > _EIGHT_BITS and mode != "I;16"):
        what = "grey" if len(codestream.depths) == 1 else f"{len(codestream.depths)} components"
        raise unsupported(f"a JPEG 2000 picture of {what} with {depth} bits per sample")


def refuse_sheared_chroma(codestream: Codestream) -> None:
    """Refuse chroma at reduced resolution where a tile is no whole number of its samples wide.

    Pillow (13.0) rounds the width of such a row down, and the colours are sheared. With an odd height it only loses the
    last row of chroma.

    Raises:
        PermanentError: ``unsupported_format``.
    """
    edges = {codestream.left, codestream.right}
    first = codestream.tile_left + codestream.tile_width
    if first < codestream.right:
        edges |= {first, first + codestream.tile_width}
    if codestream.across > 1 and any(edge % codestream.across for edge in edges):
        raise PermanentError(
            Reason.UNSUPPORTED_FORMAT,
            f"The content is a JPEG 2000 picture of {codestream.right - codestream.left:,} columns with one chroma"
            f" sample for each {codestream.across}; the decoder shears the colours where these do not divide.",
        )


def _to_level(depth: int) -> list[int]:
    """Return a table from the upper ``depth`` bits of a byte to 0..255."""
    return [(value >> max(0, _EIGHT_BITS - depth)) * 255 // ((1 << depth) - 1) for value in range(256)]


def _to_index(depth: int) -> list[int]:
    return [value >> max(0, _EIGHT_BITS - depth) for value in range(256)]


def _smallest_block(content: bytes) -> int:
    """Return the smallest code-block, in samples, that any header states.

    The main header and that of every tile may state one, for all components or for one. Bytes that look like such a
    header count as one at any place: in packets some six bytes would have to match by chance.
    """
    sizes = [_block(content, found) for style in _STYLES for found in style.finditer(content)]
    return min(sizes, default=_SMALLEST_BLOCK)


def _block(content: bytes, style: re.Match[bytes]) -> int:
    """Return the samples of a code-block: never more than its part of a precinct has."""
    flags, levels, width, height = (style[group][0] for group in (1, 2, 3, 4))
    width, height = width + 2, height + 2
    if flags & 1:
        precincts = content[style.end(4) + 2 :][: levels + 1]
        width = min([width, *(max(0, (each & 15) - 1) for each in precincts)])
        height = min([height, *(max(0, (each >> 4) - 1) for each in precincts)])
    return 1 << (width + height)


def _codestream_at(content: bytes) -> int:
    """Return the offset of the codestream: 0, or that of the first ``jp2c`` box; without one, the end of the file."""
    if content.startswith(_CODESTREAM):
        return 0
    end = 0
    for box in boxes(content, 0, len(content), ChunkLimit(len(content))):
        if box.kind == b"jp2c":
            return box.start
        end = box.end
    is_cut_codestream = content[end + 4 : end + 8] == b"jp2c"  # a box that does not fit in the file
    header = 16 if content[end : end + 4] == b"\0\0\0\1" else 8
    return end + header if is_cut_codestream else len(content)
