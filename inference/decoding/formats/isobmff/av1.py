"""Counts the pixels that an AV1 stream is decoded to, from the headers of its frames.

A decoder does not obey the container's size (``ispe``): it makes frames of the size that the stream states, and scales
them afterwards. All frames count, shown or hidden: each takes time, and up to eight of them are kept (AV1 Bitstream &
Decoding Process Specification, sections 5.3 to 5.9; names as there).
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.decoding.formats.isobmff.items import Stream

_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6
_HEADER_BYTES = 512  # of the longest sequence header: 32 operating points of 12 + 5 + 1 + 66 + 5 bits, and 200 more
_KEY_FRAME, _SWITCH_FRAME = 0, 3
_MAIN, _HIGH, _PROFESSIONAL = 0, 1, 2  # profiles: 4:2:0, 4:4:4, and 4:2:2 or 12 bits
_SRGB = (1, 13, 0)  # primaries, transfer and matrix of RGB that is coded as such
_EITHER = 2  # SELECT_SCREEN_CONTENT_TOOLS, SELECT_INTEGER_MV: each frame states it


class _BitReader:
    """Reads unsigned numbers from the first bytes of a header, most significant bit first; behind the end are zeros."""

    def __init__(self, stream: Stream, at: int) -> None:
        self._value = int.from_bytes(bytes(stream[at : at + _HEADER_BYTES]).ljust(_HEADER_BYTES, b"\0"))
        self._left = 8 * _HEADER_BYTES

    def read(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise struct.error
        return self._value >> self._left & ((1 << count) - 1)

    def read_variable(self) -> int:
        """Read an Exp-Golomb number (``uvlc``)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return self.read(zeros) + (1 << zeros) - 1 if zeros < 32 else (1 << 32) - 1


class _Samples(NamedTuple):
    """How the samples of a sequence are kept.

    Attributes:
        is_deep: Whether they have more than 8 bits.
        per_pixel: 1.0 for grey, 1.5 for 4:2:0, 3.0 for 4:4:4.
        has_grain: Whether the decoder may add film grain, in a copy of a frame.
    """

    is_deep: bool
    per_pixel: float
    has_grain: bool

    @property
    def bytes_per_pixel(self) -> float:
        """What a frame takes in memory, with the copy that film grain is added to."""
        return self.per_pixel * (2 if self.is_deep else 1) * (2 if self.has_grain else 1)


class _Sequence(NamedTuple):
    """The facts of a sequence header that are needed to find the size in a frame's header."""

    width: int
    height: int
    max_pixels: int  # that the bits for a frame's own size can state
    is_reduced: bool
    presentation_time_bits: int
    frame_id_bits: int
    screen_content_tools: int
    integer_motion: int
    samples: _Samples


class CodedSize(NamedTuple):
    """The pixels that a decoder makes, and the bytes of their samples in its memory."""

    pixels: int
    sample_bytes: float


def read_coded_size(stream: Stream, chunks: ChunkLimit) -> CodedSize:
    """Add up the frames of a stream, up to the first damage, where a decoder stops as well.

    A frame with a size of its own counts as the largest that its bits can state; still pictures have no such frame.

    Raises:
        PermanentError: ``too_many_frames``: the stream has more units than ``chunks`` has left.
    """
    pixels, sample_bytes = 0, 0.0
    with suppress(struct.error, IndexError):
        for frame in _frames(stream, chunks):
            pixels += frame.pixels
            sample_bytes += frame.sample_bytes
    return CodedSize(pixels, sample_bytes)


def _frames(stream: Stream, chunks: ChunkLimit) -> Iterator[CodedSize]:
    """Yield each frame among the units (OBU) of ``stream``."""
    sequence: _Sequence | None = None
    at = 0
    while at < len(stream):
        chunks.count()
        first = stream[at]
        body = at + (2 if first & 4 else 1)  # obu_extension_flag
        length = len(stream) - body
        if first & 2:  # obu_has_size_field
            length, body = _leb128(stream, body)
        kind = first >> 3 & 15
        if kind == _SEQUENCE_HEADER:
            sequence = _read_sequence(_BitReader(stream, body))
        elif kind in {_FRAME_HEADER, _FRAME} and sequence:
            pixels = _frame_pixels(_BitReader(stream, body), sequence)
            yield CodedSize(pixels, pixels * sequence.samples.bytes_per_pixel)
        at = body + length


def _leb128(stream: Stream, at: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the lowest first; return it and the offset behind it."""
    value = 0
    for index in range(8):
        value |= (stream[at + index] & 127) << 7 * index
        if stream[at + index] < 128:
            return value, at + index + 1
    raise struct.error


def _read_sequence(bits: _BitReader) -> _Sequence:
    profile = bits.read(3)
    bits.read(1)  # still_picture
    is_reduced = bool(bits.read(1))
    presentation_time_bits = 0
    if is_reduced:
        bits.read(5)  # seq_level_idx
    else:
        presentation_time_bits = _read_timing(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    frame_id_bits = 0
    if not is_reduced and bits.read(1):  # frame_id_numbers_present_flag
        frame_id_bits = bits.read(4) + 2
        frame_id_bits += bits.read(3) + 1
    bits.read(3)  # use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
    tools = motion = _EITHER
    has_order_hints = 0
    if not is_reduced:
        bits.read(4)  # interintra, masked compound, warped motion, dual filter
        has_order_hints = bits.read(1)
        if has_order_hints:
            bits.read(2)  # jnt_comp, ref_frame_mvs
        tools = _EITHER if bits.read(1) else bits.read(1)
        if tools:
            motion = _EITHER if bits.read(1) else bits.read(1)
    bits.read(3 * has_order_hints + 3)  # order_hint_bits_minus_1, then enable_superres, cdef, restoration
    return _Sequence(
        width=width,
        height=height,
        max_pixels=1 << width_bits + height_bits,
        is_reduced=is_reduced,
        presentation_time_bits=presentation_time_bits,
        frame_id_bits=frame_id_bits,
        screen_content_tools=tools,
        integer_motion=motion,
        samples=_read_samples(bits, profile),
    )


def _read_samples(bits: _BitReader, profile: int) -> _Samples:
    """Read ``color_config``, and whether film grain follows it."""
    is_deep = bool(bits.read(1))  # high_bitdepth
    has_12_bits = profile == _PROFESSIONAL and is_deep and bits.read(1)
    is_grey = profile != _HIGH and bits.read(1)
    colors = (bits.read(8), bits.read(8), bits.read(8)) if bits.read(1) else None
    if is_grey:
        bits.read(1)  # color_range
        return _Samples(is_deep, 1.0, bool(bits.read(1)))
    if colors == _SRGB:
        halves = (0, 0)
    else:
        bits.read(1)  # color_range
        if profile == _PROFESSIONAL and has_12_bits:
            across = bits.read(1)
            halves = (across, bits.read(1) if across else 0)
        else:
            halves = {_MAIN: (1, 1), _HIGH: (0, 0)}.get(profile, (1, 0))
        if all(halves):
            bits.read(2)  # chroma_sample_position
    bits.read(1)  # separate_uv_delta_q
    return _Samples(is_deep, 1 + 2 / 2 ** sum(halves), bool(bits.read(1)))


def _read_timing(bits: _BitReader) -> int:
    """Read to the end of the operating points; return how many bits a frame's presentation time has."""
    model = delay_bits = presentation_time_bits = 0
    if bits.read(1):  # timing_info_present_flag
        bits.read(64)  # num_units_in_display_tick, time_scale
        equal_intervals = bits.read(1)
        if equal_intervals:
            bits.read_variable()  # num_ticks_per_picture_minus_1
        model = bits.read(1)  # decoder_model_info_present_flag
        if model:
            delay_bits = bits.read(5) + 1
            bits.read(37)  # num_units_in_decoding_tick, buffer_removal_time_length_minus_1
            time_bits = bits.read(5) + 1
            presentation_time_bits = 0 if equal_intervals else time_bits
    initial_delays = bits.read(1)
    for _ in range(bits.read(5) + 1):  # operating_points_cnt_minus_1
        bits.read(12)  # operating_point_idc
        if bits.read(5) > 7:  # seq_level_idx
            bits.read(1)  # seq_tier
        if model and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if initial_delays and bits.read(1):
            bits.read(4)
    return presentation_time_bits


def _frame_pixels(bits: _BitReader, sequence: _Sequence) -> int:
    """Read a frame's header up to ``frame_size_override_flag``."""
    stated = sequence.width * sequence.height
    if sequence.is_reduced:
        return stated
    if bits.read(1):  # show_existing_frame
        return 0
    kind, is_shown = bits.read(2), bits.read(1)
    if is_shown:
        bits.read(sequence.presentation_time_bits)
    else:
        bits.read(1)  # showable_frame
    if kind != _SWITCH_FRAME and not (kind == _KEY_FRAME and is_shown):
        bits.read(1)  # error_resilient_mode
    bits.read(1)  # disable_cdf_update
    tools = bits.read(1) if sequence.screen_content_tools == _EITHER else sequence.screen_content_tools
    if tools and sequence.integer_motion == _EITHER:
        bits.read(1)  # force_integer_mv
    bits.read(sequence.frame_id_bits)
    overrides = kind == _SWITCH_FRAME or bits.read(1)
    return max(stated, sequence.max_pixels) if overrides else stated
