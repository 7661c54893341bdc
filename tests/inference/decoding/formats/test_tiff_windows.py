"""The windows that LZMA and Zstandard streams state are read from their first bytes."""

from __future__ import annotations

import lzma
import struct

import pytest

from inference.decoding.formats.tiff_windows import LZMA, ZSTANDARD, window_bytes

MIB = 1024 * 1024


@pytest.mark.parametrize(("preset", "mib"), [(0, 0.25), (1, 1), (3, 4), (6, 8), (9, 64)])
def test_the_window_of_an_lzma_stream_is_that_of_its_preset(preset: int, mib: float) -> None:
    """The sizes are those of xz(1)."""
    assert window_bytes(b"II*\0" + lzma.compress(bytes(1000), preset=preset), LZMA) == mib * MIB


def test_a_filter_before_lzma_is_passed_over_and_the_largest_window_counts() -> None:
    """libtiff writes a delta filter where the tag Predictor states one."""
    filters = [{"id": lzma.FILTER_DELTA, "dist": 3}, {"id": lzma.FILTER_LZMA2, "dict_size": 16 * MIB}]
    streams = lzma.compress(b"small", preset=0) + lzma.compress(b"large", filters=filters)
    assert window_bytes(streams, LZMA) == 16 * MIB


@pytest.mark.parametrize(
    ("descriptor", "window", "expected"),
    [(0x00, 0x58, 2 * MIB), (0x00, 0x5C, 3 * MIB), (0x00, 0x88, 128 * MIB), (0x20, 0x58, 0)],
)
def test_the_window_of_a_zstandard_frame_is_read(descriptor: int, window: int, expected: int) -> None:
    """RFC 8878, section 3.1.1.1.2: 2^(10 + exponent), and eighths of that."""
    assert window_bytes(struct.pack("<IBB", 0xFD2FB528, descriptor, window), ZSTANDARD) == expected


def test_other_codecs_have_no_window() -> None:
    assert window_bytes(lzma.compress(bytes(1000)), 8) == 0
