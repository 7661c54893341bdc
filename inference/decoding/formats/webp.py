"""WebP: RIFF chunks (RFC 9649). The header is read without the decoder, which allocates two canvases to open a file.

The decoder refuses a file that is shorter than its header states, also where the first frame is whole. Such a file is
given to it without the chunk that is cut. Where the first frame itself is cut, the decoder gives no part of it. For the
part, the frame is completed with other bytes, twice: the rows above the first that differs were decoded.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from PIL import WebPImagePlugin

from inference.decoding.color_profile import name_profile
from inference.decoding.formats.image_format import Header, ImageFormat
from inference.decoding.formats.refusals import chunk_name, corrupt, truncated
from inference.decoding.memory_cost import DecoderMemory
from inference.decoding.orientation import read_orientation
from inference.decoding.partial import Part, band_hashes, band_rows
from inference.predictions import ImageInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.decoding.pixels import Mode
    from inference.limits import Limits

_ALPHA_FLAG = 0x10  # RFC 9649, section 2.7
_PIXEL_BYTES = 16  # two canvases, a copy and the image
_COMPLETIONS = (b"\0", b"\x80")  # no decoder error in 204 cut files with either of them
_COMPLETED_PIXELS_PER_BYTE = {b"VP8 ": 4, b"VP8L": 1}  # the decoder needs at most so many of these bytes
_COMPLETED_BYTES = 64 * 1024
_SMOOTHED_ROWS = 16  # the decoder smooths the border between macroblocks, so rows above the missing one change
_FRAMES = frozenset({b"VP8 ", b"VP8L", b"ANMF"})
_HELD_BYTES = 12  # two canvases and the image; the decoder also keeps a copy of the file


class WebP(ImageFormat):
    """Lossy and lossless WebP; the first frame of an animation."""

    name = "webp"
    reader = WebPImagePlugin.WebPImageFile
    can_state_any_size = True
    is_decodable_in_part = True

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that the first frame is whole, and return the number of frames, of which later ones may be cut."""
        frames = 0
        for chunk in _chunks(content):
            chunks.count()
            if chunk.kind not in _FRAMES:
                continue
            if not frames and chunk.end > len(content):
                raise truncated(content, f"a {chunk_name(chunk.kind)} chunk of {chunk.length:,} bytes is incomplete")
            frames += 1
        if not frames and _stated_end(content) > len(content):
            raise truncated(content, f"its header states {_stated_end(content):,}")
        return max(frames, 1)

    def read_header(self, content: bytes, frames: int, limits: Limits) -> Header:  # noqa: ARG002 - one interface
        """Read the first chunk (RFC 9649, sections 2.5 to 2.7) and, where it announces metadata, the chunks of it."""
        try:
            stored = _read_first_chunk(content)
        except struct.error as error:
            raise truncated(content, "its header is incomplete") from error
        orientation = read_orientation(stored.exif, stored.xmp)
        pixels = stored.width * stored.height
        return Header(
            info=ImageInfo(*orientation.swap((stored.width, stored.height)), self.name),
            orientation=orientation,
            mode="RGBA" if stored.has_alpha else "RGB",
            frames=frames,
            decoder_memory=DecoderMemory(_PIXEL_BYTES * pixels + len(content), _HELD_BYTES * pixels + len(content)),
            has_transparency=stored.has_alpha,
            exif=stored.exif,
        )

    def read_color_profile(self, content: bytes) -> str | None:
        """Return the name of the profile in the chunk ``ICCP``."""
        return name_profile(_chunk(content, b"ICCP"))

    def decode(self, content: bytes, mode: Mode, scale: int) -> Image.Image:
        """Decode the first frame, also of a file whose later chunks are cut."""
        if _stated_end(content) > len(content):
            content = _without_cut_chunk(content)
        return super().decode(content, mode, scale)

    def decode_part(self, content: bytes) -> Part | None:
        """Decode the rows that are there of a still picture that is cut; libwebp does not report where damage is."""
        cut = next((chunk for chunk in _chunks(content) if chunk.kind in _FRAMES), None)
        if cut is None or cut.kind == b"ANMF" or cut.end <= len(content):
            return None
        first = _read_first_chunk(content)
        size = first.width * first.height // _COMPLETED_PIXELS_PER_BYTE[cut.kind] + _COMPLETED_BYTES
        before, picture = None, None
        for byte in _COMPLETIONS:
            before = band_hashes(picture) if picture else None
            picture = self.open(_completed(content, cut, byte * size))
            picture.load()
        if before is None or picture is None:
            return None
        pairs = enumerate(zip(before, band_hashes(picture), strict=True))
        good = next((band for band, (one, other) in pairs if one != other), None)
        if good is None:
            return None
        good = max(0, good * band_rows(picture.height) - _SMOOTHED_ROWS)
        return Part(picture, good / picture.height, range(good, picture.height))


FORMAT = WebP()


class _Chunk(NamedTuple):
    kind: bytes
    start: int  # of the body
    length: int

    @property
    def end(self) -> int:
        """The end of the body; a byte of padding may follow."""
        return self.start + self.length


def _stated_end(content: bytes) -> int:
    (size,) = struct.unpack_from("<I", content, 4)
    return int(size) + 8


def _chunks(content: bytes) -> Iterator[_Chunk]:
    """Yield every chunk that begins in the file; the last may be cut."""
    at, end = 12, min(_stated_end(content), len(content))
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", content, at)
        yield _Chunk(kind, at + 8, length)
        at += 8 + length + (length & 1)


def _without_cut_chunk(content: bytes) -> bytes:
    """Return the chunks that are whole, in a file that states its length."""
    end = max((chunk.end for chunk in _chunks(content) if chunk.end <= len(content)), default=12)
    padding = bytes(end & 1)
    return b"RIFF" + struct.pack("<I", end - 8 + len(padding)) + content[8:end] + padding


def _completed(content: bytes, cut: _Chunk, rest: bytes) -> bytes:
    """Return the file with ``rest`` behind the chunk that is cut; both lengths are those of the result."""
    end = len(content) + len(rest)
    lengths = struct.pack("<I", end + (end & 1) - 8), struct.pack("<I", end - cut.start)
    return b"".join(
        [b"RIFF", lengths[0], content[8 : cut.start - 4], lengths[1], content[cut.start :], rest, bytes(end & 1)]
    )


class _FirstChunk(NamedTuple):
    """Stored size in pixels, and the EXIF block and XMP packet (empty where there is none)."""

    width: int
    height: int
    has_alpha: bool
    exif: bytes = b""
    xmp: bytes = b""


def _read_first_chunk(content: bytes) -> _FirstChunk:
    match content[12:16]:
        case b"VP8X":
            flags, low, high = struct.unpack_from("<IIH", content, 20)
            bits = low | high << 32
            exif, xmp = _chunk(content, b"EXIF"), _chunk(content, b"XMP ")
            return _FirstChunk((bits & 0xFFFFFF) + 1, (bits >> 24) + 1, bool(flags & _ALPHA_FLAG), exif, xmp)
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", content, 21)
            return _FirstChunk((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1))
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", content, 26)
            return _FirstChunk(width & 0x3FFF, height & 0x3FFF, has_alpha=False)
    raise corrupt("its header states WebP, but it holds no picture chunk")


def _chunk(content: bytes, name: bytes) -> bytes:
    return next((content[chunk.start : chunk.end] for chunk in _chunks(content) if chunk.kind == name), b"")
