"""Every layout of a PNG gives the pixels that were written; the writer is here, and libpng reads its files first."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.inference.decoding.image_samples import decode_image, png

WIDTH, HEIGHT = 29, 21
Samples = NDArray[np.uint16]
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
LAYOUTS = [
    *((GREY, bits) for bits in (1, 2, 4, 8, 16)),
    *((PALETTE, bits) for bits in (1, 2, 4, 8)),
    *((kind, bits) for kind in (RGB, GREY_ALPHA, RGBA) for bits in (8, 16)),
]
# The passes of Adam7: first row, first column, and the steps down and across.
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
RNG = np.random.default_rng(11)
COLORS = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
OPACITIES = RNG.integers(0, 256, 256, dtype=np.uint8)


def packed(row: Samples, bits: int) -> bytes:
    if bits == 16:
        return row.astype(">u2").tobytes()
    planes = np.unpackbits(row.astype(np.uint8).ravel()[:, None], axis=1)[:, 8 - bits :]
    return np.packbits(planes.ravel()).tobytes()


def filtered(rows: list[bytes], step: int) -> bytes:
    """Apply the five filters in turn (PNG Specification, section 9)."""
    coded, above = b"", bytes(len(rows[0]) if rows else 0)
    for number, row in enumerate(rows):
        kind = number % 5
        left, corner = bytes(step) + row, bytes(step) + above
        predicted = [
            (0, a, b, (a + b) // 2, min((a, b, c), key=lambda value, a=a, b=b, c=c: abs(a + b - c - value)))[kind]  # type: ignore[misc]
            for a, b, c in zip(left, above, corner, strict=False)
        ]
        coded += bytes([kind]) + bytes((x - p) & 255 for x, p in zip(row, predicted, strict=True))
        above = row
    return coded


def written(samples: Samples, kind: int, bits: int, *, interlaced: bool, transparency: bytes | None) -> bytes:
    step = max(1, CHANNELS[kind] * bits // 8)
    coded = b""
    for top, left, down, across in PASSES if interlaced else ((0, 0, 1, 1),):
        part = samples[top::down, left::across]
        coded += filtered([packed(row, bits) for row in part if row.size], step)
    chunks = [(b"PLTE", COLORS[: 1 << bits].tobytes())] if kind == PALETTE else []
    chunks += [(b"tRNS", transparency)] if transparency is not None else []
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, kind, 0, 0, int(interlaced))
    return png(header, *chunks, (b"IDAT", zlib.compress(coded)))


def shown(samples: Samples, kind: int, bits: int, transparency: bytes | None) -> NDArray[np.float64]:
    """Compute the RGB on white, in 0..255."""
    white = (1 << bits) - 1
    opacity = np.ones((HEIGHT, WIDTH, 1))
    if kind == PALETTE:
        index = samples[..., 0]
        colors = COLORS[index].astype(float)
        if transparency is not None:
            table = np.full(256, 255)
            table[: len(transparency)] = list(transparency)
            opacity = table[index][..., None] / 255
    else:
        scaled = samples / white * 255
        colors = scaled[..., : 3 if kind in {RGB, RGBA} else 1].repeat(1 if kind in {RGB, RGBA} else 3, axis=-1)
        if kind in {GREY_ALPHA, RGBA}:
            opacity = scaled[..., -1:] / 255
        elif transparency is not None:
            level = np.frombuffer(transparency, ">u2")
            opacity = 1.0 - (samples == level).all(axis=-1, keepdims=True)
    return colors * opacity + 255 * (1 - opacity)


@pytest.mark.parametrize("has_transparency", [False, True], ids=["opaque", "tRNS"])
@pytest.mark.parametrize("interlaced", [False, True], ids=["plain", "interlaced"])
@pytest.mark.parametrize(("kind", "bits"), LAYOUTS)
def test_a_layout_is_decoded_right(kind: int, bits: int, *, interlaced: bool, has_transparency: bool) -> None:
    if has_transparency and kind in {GREY_ALPHA, RGBA}:
        return  # no such chunk beside alpha
    samples = RNG.integers(0, 1 << bits, (HEIGHT, WIDTH, CHANNELS[kind]), dtype=np.uint16)
    transparency = None
    if has_transparency:
        half = OPACITIES[: max(1, (1 << bits) // 2)].tobytes()  # the entries behind it are opaque
        transparency = half if kind == PALETTE else samples[3, 4].astype(">u2").tobytes()
    content = written(samples, kind, bits, interlaced=interlaced, transparency=transparency)
    expected = shown(samples, kind, bits, transparency)
    check_writer(content, samples, kind, bits, has_transparency=has_transparency)
    pixels = np.asarray(decode_image(content, (400, 400)).image)
    assert np.abs(pixels - expected).max() <= (2.01 if bits == 16 else 1.01)  # colour and alpha are each rounded


def check_writer(content: bytes, samples: Samples, kind: int, bits: int, *, has_transparency: bool) -> None:
    """Compare with libpng, which expands fewer than 8 bits and turns palettes and tRNS into colours and alpha."""
    found: NDArray[np.generic] = imagecodecs.png_decode(content)
    if kind == PALETTE:
        expected: NDArray[np.generic] = COLORS[samples[..., 0]]
    else:
        expected = (samples * (255 // ((1 << bits) - 1)) if bits < 8 else samples).astype(found.dtype)
        expected = expected[..., 0] if expected.shape[-1] == 1 else expected
    if has_transparency and found.ndim == 3:
        found = found[..., : 3 if found.shape[-1] == 4 else 1]
    assert np.array_equal(found.reshape(expected.shape), expected)
