"""WebP: RIFF chunks (RFC 9649). The header is read without the decoder, which allocates two canvases to open a file."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from PIL import WebPImagePlugin

from inference.decoding.formats.image_format import Header, ImageFormat
from inference.decoding.formats.refusals import corrupt, truncated
from inference.decoding.memory_cost import DecoderMemory
from inference.decoding.orientation import read_orientation
from inference.predictions import ImageInfo

if TYPE_CHECKING:
    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.limits import Limits

_ALPHA_FLAG = 0x10  # RFC 9649, section 2.7
_PIXEL_BYTES = 16  # two canvases, a copy and the image


class WebP(ImageFormat):
    """Lossy and lossless WebP; the first frame of an animation."""

    name = "webp"
    reader = WebPImagePlugin.WebPImageFile
    can_state_any_size = True

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that the file is as long as its header states, and return its number of frames."""
        (size,) = struct.unpack_from("<I", content, 4)
        if size + 8 > len(content):
            raise truncated(content, f"its header states {size + 8:,}")
        at = 12
        frames = 0
        while at + 8 <= min(size + 8, len(content)):
            chunks.count()
            kind, length = struct.unpack_from("<4sI", content, at)
            frames += kind == b"ANMF"
            at += 8 + length + (length & 1)
        return max(frames, 1)

    def read_header(self, content: bytes, frames: int, limits: Limits) -> Header:  # noqa: ARG002 - one interface
        """Read the first chunk (RFC 9649, sections 2.5 to 2.7) and, where it announces metadata, the chunks of it."""
        try:
            stored = _read_first_chunk(content)
        except struct.error as error:
            raise truncated(content, "its header is incomplete") from error
        orientation = read_orientation(stored.exif, stored.xmp)
        return Header(
            info=ImageInfo(*orientation.swap((stored.width, stored.height)), self.name),
            orientation=orientation,
            mode="RGBA" if stored.has_alpha else "RGB",
            frames=frames,
            decoder_memory=DecoderMemory(_PIXEL_BYTES * stored.width * stored.height + 2 * len(content)),
        )


FORMAT = WebP()


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
    at = 12
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, at)
        if kind == name:
            return content[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)
    return b""
