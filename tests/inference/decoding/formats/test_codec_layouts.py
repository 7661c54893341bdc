"""Every layout that the encoders of imagecodecs and libheif can write gives the pixels that went in.

imagecodecs shares no code with Pillow. Where it can, its decoder reads a file as well, so that a fault of the writer is
not taken for one of the product. Layouts that the product does not decode right are refused by name.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from inference.errors import PermanentError, Reason
from tests.inference.decoding.image_samples import decode_image, encode, encode_heif

HEIGHT, WIDTH = 40, 58
Samples = NDArray[np.float64]  # (height, width, channels), 0..1
SUBSAMPLINGS = ("444", "422", "420")
CHROMA_LOSS = {"444": 6, "422": 14, "420": 14, "440": 14, "411": 24, "400": 6}


def waves(channels: int) -> Samples:
    """A smooth picture that reaches black and white in every channel."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    each = [(np.sin(across / 9 + n) + np.cos(down / 7 - n) + 2) / 4 for n in range(channels)]
    return np.stack([(plane - plane.min()) / np.ptp(plane) for plane in each], axis=-1)


def quantised(samples: Samples, bits: int) -> NDArray[Any]:
    """Return samples of ``bits``; a single channel has no axis of its own."""
    levels = np.round(samples * ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16)
    return levels[..., 0] if levels.shape[-1] == 1 else levels


def on_white(levels: NDArray[Any], bits: int) -> Samples:
    """Compute the RGB that is shown, in 0..255, of grey or RGB with alpha or without."""
    shown = np.atleast_3d(levels) / ((1 << bits) - 1) * 255
    channels = shown.shape[-1]
    colors = shown[..., :3] if channels >= 3 else shown[..., :1].repeat(3, axis=-1)
    if channels % 2:
        return colors
    opacity = shown[..., -1:] / 255
    return colors * opacity + 255 * (1 - opacity)


def difference(content: bytes, expected: Samples) -> float:
    pixels = np.asarray(decode_image(content, (400, 400)).image)
    assert pixels.shape == expected.shape
    return float(np.abs(pixels - expected).max())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8, 9, 10, 12, 16])
def test_jpeg_2000_of_every_depth_is_decoded_or_named(bits: int, channels: int) -> None:
    """Pillow shows white of one bit as 128, and white of ten bits as black; grey of many bits is right."""
    levels = quantised(waves(channels), bits)
    for codec in ("jp2", "j2k"):
        options: dict[str, Any] = {"codecformat": codec, "bitspersample": bits, "mct": channels >= 3}
        content = bytes(imagecodecs.jpeg2k_encode(levels, level=0, reversible=True, **options))
        assert np.array_equal(imagecodecs.jpeg2k_decode(content), levels)
        if bits > 8 and (channels > 1 or (bits, codec) == (9, "jp2")):
            with pytest.raises(PermanentError, match=f"{bits} bits per sample") as refusal:
                decode_image(content)
            assert refusal.value.reason is Reason.UNSUPPORTED_FORMAT
            continue
        assert difference(content, on_white(levels, bits)) <= 2, codec
        if bits == 8:
            lossy = bytes(imagecodecs.jpeg2k_encode(levels, level=60, reversible=False, **options))
            assert difference(lossy, on_white(levels, bits)) <= 4, codec


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_signed_samples_of_jpeg_2000_are_decoded(channels: int) -> None:
    levels = quantised(waves(channels), 8)
    signed = (levels.astype(int) - 128).astype(np.int8)
    content = bytes(imagecodecs.jpeg2k_encode(signed, level=0, reversible=True, mct=channels >= 3))
    assert difference(content, on_white(levels, 8)) <= 1


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_palette_of_a_jpeg_2000_is_applied(bits: int) -> None:
    """No writer at hand makes one: the boxes are put around the indices of a grey picture."""
    colors = np.random.default_rng(4).integers(0, 256, (1 << bits, 3), dtype=np.uint8)
    indices = quantised(waves(1), bits)
    content = bytes(imagecodecs.jpeg2k_encode(indices, level=0, codecformat="jp2", bitspersample=bits, reversible=True))
    at = content.index(b"jp2h") - 4
    size = int.from_bytes(content[at : at + 4])
    table = len(colors).to_bytes(2) + b"\3\7\7\7" + colors.tobytes()
    mapping = b"".join(b"\0\0\1" + bytes([n]) for n in range(3))
    more = b"".join((len(body) + 8).to_bytes(4) + kind + body for kind, body in ((b"pclr", table), (b"cmap", mapping)))
    inside = content[at + 4 : at + size].replace((17).to_bytes(4), (16).to_bytes(4))  # enumerated: grey, then sRGB
    content = content[:at] + (size + len(more)).to_bytes(4) + inside + more + content[at + size :]
    assert difference(content, colors[indices].astype(float)) == 0


@pytest.mark.parametrize("subsampling", [*SUBSAMPLINGS, "400"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_of_every_depth_is_decoded(bits: int, channels: int, subsampling: str) -> None:
    if subsampling == "400" and channels >= 3:
        return  # it has no colour
    levels = quantised(waves(channels), bits)
    content = bytes(imagecodecs.avif_encode(levels, level=95, speed=9, bitspersample=bits, pixelformat=subsampling))
    expected = on_white(levels, bits)
    found = np.atleast_3d(imagecodecs.avif_decode(content))
    assert np.abs(on_white(found, 8 if found.dtype == np.uint8 else bits) - expected).max() <= CHROMA_LOSS[subsampling]
    assert difference(content, expected) <= CHROMA_LOSS[subsampling]


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_heic_of_every_depth_is_decoded(
    bits: int, channels: int, subsampling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", bits == 12)
    depth = 8 if bits == 8 else 16
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels] + (";16" if depth == 16 else "")
    if mode == "LA;16":
        return  # libheif's writer has no such mode
    levels = quantised(waves(channels), depth)
    stream = BytesIO()
    image = pillow_heif.from_bytes(mode=mode, size=(WIDTH, HEIGHT), data=levels.tobytes())
    image.save(stream, quality=95, chroma=int(subsampling), enc_params={"preset": "ultrafast"})
    assert difference(stream.getvalue(), on_white(levels, depth)) <= CHROMA_LOSS[subsampling]


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_premultiplied_colours_are_composited_once(kind: str) -> None:
    levels = quantised(waves(4), 8)
    image = Image.fromarray(levels)
    if kind == "AVIF":
        content = encode(image, "AVIF", quality=95, subsampling="4:4:4", alpha_premultiplied=True)
    else:
        content = encode_heif(image.convert("RGBa"), quality=95, chroma=444)
    assert difference(content, on_white(levels, 8)) <= 8


@pytest.mark.parametrize("is_lossless", [True, False], ids=["lossless", "lossy"])
@pytest.mark.parametrize("channels", [3, 4])
def test_webp_of_every_method_is_decoded(channels: int, *, is_lossless: bool) -> None:
    levels = quantised(waves(channels), 8)
    for method in (0, 3, 6):
        content = bytes(imagecodecs.webp_encode(levels, level=95, lossless=is_lossless, method=method))
        expected = on_white(imagecodecs.webp_decode(content), 8)
        assert difference(content, expected) <= (1 if is_lossless else 3)
        assert np.abs(expected - on_white(levels, 8)).max() <= (1 if is_lossless else 14)


JPEG_COLORS = {
    1: [("GRAYSCALE", "GRAYSCALE")],
    3: [("RGB", "RGB"), ("RGB", "YCBCR")],
    4: [("CMYK", "CMYK"), ("CMYK", "YCCK")],
}


@pytest.mark.parametrize("subsampling", [*SUBSAMPLINGS, "440", "411"])
@pytest.mark.parametrize("components", JPEG_COLORS)
def test_jpeg_of_every_subsampling_is_decoded(components: int, subsampling: str) -> None:
    levels = quantised(waves(components), 8)
    inks = 255 - np.atleast_3d(levels).astype(float)  # four inks are coded inverted
    expected = (255 - inks[..., :3]) * (255 - inks[..., 3:]) / 255 if components == 4 else on_white(levels, 8)
    for space, coded in JPEG_COLORS[components]:
        options: dict[str, Any] = {"colorspace": space, "outcolorspace": coded, "subsampling": subsampling}
        content = bytes(imagecodecs.jpeg8_encode(levels, 95, **options))
        assert difference(content, expected) <= CHROMA_LOSS[subsampling], coded


@pytest.mark.parametrize("count", [2, 3, 16, 17, 200, 256])
def test_gif_of_every_number_of_colours_is_decoded(count: int) -> None:
    colors = np.random.default_rng(4).integers(0, 256, (count, 3), dtype=np.uint8)
    indices = np.random.default_rng(5).integers(0, count, (HEIGHT, WIDTH), dtype=np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette(colors.tobytes())
    variants: tuple[dict[str, int], ...] = ({"interlace": 0}, {"interlace": 1}, {"interlace": 1, "transparency": 1})
    for options in variants:
        content = encode(image, "GIF", optimize=False, **options)
        expected = colors[indices].astype(float)
        found = imagecodecs.gif_decode(content, index=0)
        assert np.array_equal(found[..., :3], expected) or "transparency" in options
        if "transparency" in options:
            expected[indices == 1] = 255
        assert difference(content, expected) == 0, options


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", ["bmp", "png"])
def test_an_icon_of_every_mode_is_decoded(kind: str, mode: str) -> None:
    image = Image.fromarray(quantised(waves(4), 8)).resize((48, 48))
    image = image.convert("RGB").quantize(16) if mode == "P" else image.convert("RGB" if mode != "RGBA" else "RGBA")
    image = image if mode in {"P", "RGBA"} else image.convert(mode)
    content = encode(image, "ICO", sizes=[(48, 48)], bitmap_format=kind)
    shown = np.asarray(image.convert("RGBA")).astype(np.uint8)
    assert difference(content, on_white(shown, 8)) <= 1


def test_the_picture_with_most_colours_of_an_icon_is_decoded() -> None:
    """Pillow takes the one with the fewest."""
    full = Image.fromarray(quantised(waves(3), 8)).resize((48, 48))
    files = [encode(image, "ICO", sizes=[(48, 48)], bitmap_format="bmp") for image in (full.convert("1"), full)]
    entries, pictures, start = b"", b"", 6 + 16 * len(files)
    for file in files:
        entries += file[6:18] + (start + len(pictures)).to_bytes(4, "little")
        pictures += file[22:]
    content = b"\0\0\1\0" + len(files).to_bytes(2, "little") + entries + pictures
    assert difference(content, np.asarray(full).astype(float)) == 0
