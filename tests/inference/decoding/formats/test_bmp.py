"""Every variant of a BMP gives the pixels that were written, or is refused by name.

``bmp_files`` writes the files by the description of the format; the pixels that they show are known before.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

from inference.errors import PermanentError, Reason
from tests.inference.decoding.formats.bmp_files import bmp, color_table, field_rows, packed_rows
from tests.inference.decoding.image_samples import Pixels, decode_image

WIDTH, HEIGHT = 37, 11
RNG = np.random.default_rng(5)
COLORS = RNG.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
HEADERS = (12, 40, 52, 56, 64, 108, 124)


def worst(content: bytes, expected: Pixels) -> int:
    pixels = np.asarray(decode_image(content, (400, 400)).image).astype(int)
    assert pixels.shape == expected.shape
    return int(np.abs(pixels - expected).max())


def grey(levels: list[int]) -> Pixels:
    return np.repeat(np.array(levels, np.uint8)[:, None], 3, axis=1)


def palettes(bits: int) -> dict[str, Pixels]:
    count = 1 << bits
    return {
        "colours": RNG.integers(0, 256, (count, 3), dtype=np.uint8),
        "half of the colours": RNG.integers(0, 256, (max(1, count // 2), 3), dtype=np.uint8),
        "black and white": grey([0, 255]),
        "black": grey([0]),
        "a grey ramp of one level each": grey(list(range(count))),
        "the start of it": grey(list(range(count // 2 + 1))),
        "grey from black to white": grey([level * 255 // (count - 1) for level in range(count)]),
    }


@pytest.mark.parametrize("top_down", [False, True], ids=["bottom up", "top down"])
@pytest.mark.parametrize("header_bytes", HEADERS)
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_a_palette_is_applied_to_indices_of_every_depth(bits: int, header_bytes: int, *, top_down: bool) -> None:
    """Pillow takes indices of 4 and 8 bits for grey of 1 or 8 where the palette begins like a grey ramp."""
    if header_bytes == 12 and top_down:
        return  # its height has no sign
    for name, colors in palettes(bits).items():
        if header_bytes == 12 and len(colors) != 1 << bits:
            continue  # it states no number of colours
        indices = np.random.default_rng(6).integers(0, len(colors), (HEIGHT, WIDTH))
        content = bmp(
            packed_rows(indices, bits),
            WIDTH,
            bits,
            header_bytes=header_bytes,
            palette=color_table(colors, entry_bytes=3 if header_bytes == 12 else 4),
            colors_used=len(colors) % (1 << bits),
            top_down=top_down,
        )
        assert worst(content, colors[indices]) == 0, name


@pytest.mark.parametrize("top_down", [False, True], ids=["bottom up", "top down"])
@pytest.mark.parametrize("header_bytes", HEADERS)
def test_plain_colours_are_decoded(header_bytes: int, *, top_down: bool) -> None:
    if header_bytes == 12 and top_down:
        return
    fifteen_bits = (0x7C00, 0x3E0, 0x1F)
    rows = {
        16: field_rows(COLORS, 16, fifteen_bits),
        24: [row[:, 2::-1].tobytes() for row in COLORS],
        32: [row[:, [2, 1, 0, 3]].tobytes() for row in COLORS],  # the fourth byte means nothing here
    }
    for bits, packed in rows.items():
        content = bmp(packed, WIDTH, bits, header_bytes=header_bytes, top_down=top_down)
        assert worst(content, COLORS[..., :3]) <= (7 if bits == 16 else 0), bits


USUAL = [
    (16, (0xF800, 0x7E0, 0x1F)),
    (16, (0x7C00, 0x3E0, 0x1F)),
    (32, (0xFF0000, 0xFF00, 0xFF)),
    (32, (0xFF000000, 0xFF0000, 0xFF00)),
    (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
]
UNUSUAL = [(16, (0xF00, 0xF0, 0xF)), (16, (0x1F, 0x7E0, 0xF800)), (32, (0x3FF00000, 0xFFC00, 0x3FF))]


@pytest.mark.parametrize("header_bytes", [40, 52, 56, 108, 124])
@pytest.mark.parametrize(("bits", "masks"), [*USUAL, *UNUSUAL], ids=str)
def test_bit_fields_are_decoded_or_named(bits: int, masks: tuple[int, ...], header_bytes: int) -> None:
    if len(masks) == 4 and header_bytes < 56:
        return  # no room for the mask of alpha
    content = bmp(field_rows(COLORS, bits, masks), WIDTH, bits, header_bytes=header_bytes, compression=3, masks=masks)
    if (bits, masks) in UNUSUAL:
        with pytest.raises(PermanentError, match="bit fields") as refusal:
            decode_image(content)
        assert refusal.value.reason is Reason.UNSUPPORTED_FORMAT
        return
    colors = COLORS[..., :3].astype(float)
    if len(masks) == 4:
        opacity = COLORS[..., 3:] / 255
        colors = colors * opacity + 255 * (1 - opacity)
    assert worst(content, colors.round().astype(np.uint8)) <= (7 if bits == 16 else 1)


def runs(rng: random.Random, bits: int, *, mark: bool = True) -> tuple[bytes, Pixels]:
    """Write run lengths of all kinds, and the indices they show: empty rows, jumps, too long runs, an early end."""
    shown = np.zeros((HEIGHT, WIDTH), np.uint8)  # from the bottom
    coded, row, column = b"", 0, 0

    def show(indices: list[int]) -> None:
        nonlocal column
        for index in indices:
            if column < WIDTH:
                shown[row, column] = index
            column += 1

    while row < HEIGHT:
        kind = rng.choice(["run", "literal", "row", "jump"])
        if kind == "run":
            count, value = rng.randrange(1, 50), rng.randrange(256)
            coded += bytes([count, value])
            show([value] * count if bits == 8 else ([value >> 4, value & 15] * count)[:count])
            column = min(column, WIDTH)
        elif kind == "literal":
            indices = [rng.randrange(1 << bits) for _ in range(rng.randrange(3, 12))]
            packed = bytes(indices) if bits == 8 else packed_rows(np.array([indices + [0] * (len(indices) % 2)]), 4)[0]
            coded += bytes([0, len(indices)]) + packed + bytes(len(packed) % 2)
            show(indices)
            column = min(column, WIDTH)
        elif kind == "jump":
            across, up = rng.randrange(0, 5), rng.randrange(0, 2)
            coded += bytes([0, 2, across, up])
            row, column = row + up, column + across
        else:
            coded += b"\0\0"
            row, column = row + 1, 0
        if rng.random() < 0.01:
            break
    return coded + b"\0\1" * mark, shown[::-1]


@pytest.mark.parametrize("bits", [4, 8])
def test_run_lengths_of_all_kinds_are_decoded(bits: int) -> None:
    """Pillow loses empty rows, and refuses a picture that ends early."""
    colors = RNG.integers(0, 256, (1 << bits, 3), dtype=np.uint8)
    for seed in range(60):
        coded, indices = runs(random.Random(seed), bits)
        content = bmp(
            [coded], WIDTH, bits, compression=1 if bits == 8 else 2, palette=color_table(colors), height=HEIGHT
        )
        assert worst(content, colors[indices]) == 0, seed


@pytest.mark.parametrize("bits", [4, 8])
def test_run_lengths_that_are_cut_are_truncated(bits: int) -> None:
    row = bytes([WIDTH, 0x11, 0, 0])
    parts = {"compression": 1 if bits == 8 else 2, "palette": bytes(4 << bits), "height": HEIGHT}
    whole = bmp([row * HEIGHT + b"\0\1"], WIDTH, bits, **parts)  # type: ignore[arg-type]  # of several types
    for missing in range(2 + 2 + 1):  # the end mark, and that of the last row
        assert decode_image(whole[: len(whole) - missing], (400, 400)).info.width == WIDTH
    with pytest.raises(PermanentError) as refusal:
        decode_image(whole[: len(whole) - 5], (400, 400))
    assert refusal.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize(
    ("bits", "options", "name"),
    [
        (2, {}, "2 bits per pixel"),
        (24, {"compression": 4}, "a JPEG inside"),
        (24, {"compression": 5}, "a PNG inside"),
        (32, {"compression": 6}, "bit fields with alpha"),
        (24, {"compression": 99}, "compression 99"),
        (24, {"compression": 4, "header_bytes": 64}, "run lengths of 24 bits"),
        (1, {"compression": 3, "header_bytes": 64}, "Huffman"),
    ],
)
def test_a_variant_that_is_not_decoded_is_named(bits: int, options: dict[str, int], name: str) -> None:
    content = bmp([bytes(200)] * 8, 8, bits, palette=bytes(16), **options)  # type: ignore[arg-type]  # all are numbers
    with pytest.raises(PermanentError, match=name) as refusal:
        decode_image(content)
    assert refusal.value.reason is Reason.UNSUPPORTED_FORMAT
