"""The decoded part of a cut or damaged picture is kept, and the rest is mid-grey; only where that is asked for."""

from __future__ import annotations

import random
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from inference.decoding.orientation import Orientation
from inference.decoding.partial import FILLER
from inference.errors import PermanentError, Reason
from inference.limits import Limits
from tests.inference.decoding.image_samples import decode_image, encode, exif_orientation, png, png_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.decoding.decode import DecodedImage

WIDTH, HEIGHT = 320, 240
KEPT = Limits(accept_damaged=True)


def photo(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """A picture in which every row has detail, and no pixel is mid-grey for long."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 255, (height // 20, width // 20, 3), dtype=np.uint8))
    grain = generator.normal(0, 9, (height, width, 3))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), float) + grain
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


PHOTO = photo(1)
SEQUENTIAL = {
    "JPEG": encode(PHOTO, "JPEG", quality=92),
    "JPEG with restart markers": encode(PHOTO, "JPEG", quality=92, restart_marker_rows=1),
    "grey JPEG": encode(PHOTO.convert("L"), "JPEG", quality=92),
    "CMYK JPEG": encode(PHOTO.convert("CMYK"), "JPEG", quality=92),
    "PNG": encode(PHOTO, "PNG"),
    "PNG with a palette": encode(PHOTO.quantize(100), "PNG"),
    "16-bit PNG": encode(Image.fromarray(np.asarray(PHOTO.convert("L")).astype(np.uint16) * 257), "PNG"),
    "PNG with alpha": encode(PHOTO.convert("RGBA"), "PNG"),
    "BMP": encode(PHOTO, "BMP"),
    "TIFF": encode(PHOTO, "TIFF"),
    "GIF": encode(PHOTO.quantize(100), "GIF", interlace=0),
    "WebP": encode(PHOTO, "WEBP", quality=80),
    "lossless WebP": encode(PHOTO, "WEBP", lossless=True),
    "WebP with alpha": encode(PHOTO.convert("RGBA"), "WEBP", quality=80, exact=True),
}
TOP_DOWN = SEQUENTIAL.keys() - {"BMP"}


def rows(decoded: DecodedImage) -> NDArray[np.uint8]:
    """The pixels (height, width, channels)."""
    return np.asarray(decoded.image).reshape(decoded.image.height, decoded.image.width, -1)


def is_filler(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which rows are mid-grey from end to end."""
    filled: NDArray[np.bool_] = (pixels == FILLER).all(axis=(1, 2))
    return filled


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", SEQUENTIAL)
def test_the_rows_before_a_cut_are_kept_and_the_others_are_grey(name: str, share: float) -> None:
    content = SEQUENTIAL[name]
    cut = content[: int(len(content) * share)]
    with pytest.raises(PermanentError) as refused:
        decode_image(cut)
    assert refused.value.reason is Reason.TRUNCATED
    whole, decoded = rows(decode_image(content)), decode_image(cut, limits=KEPT)
    assert decoded.damage is not None
    assert (decoded.damage.refusal.reason, decoded.damage.refusal.detail) == (
        refused.value.reason,
        refused.value.detail,
    )
    fraction = decoded.damage.decoded_fraction
    assert share - 0.2 < fraction < share + 0.1
    good = round(fraction * HEIGHT)
    pixels = rows(decoded)
    if name not in TOP_DOWN:
        pixels, whole = pixels[::-1], whole[::-1]
    assert not is_filler(pixels)[:good].any()
    assert is_filler(pixels)[good:].all()
    # libjpeg smooths colours across the border to the row below, of which nothing is known.
    assert np.array_equal(pixels[: good - 1], whole[: good - 1])


@pytest.mark.parametrize("name", ["JPEG", "PNG", "PNG with a palette", "TIFF in LZW", "TIFF in Deflate", "GIF"])
def test_the_rows_before_damage_are_kept(name: str) -> None:
    compressed = {"TIFF in LZW": "tiff_lzw", "TIFF in Deflate": "tiff_deflate"}
    content = encode(PHOTO, "TIFF", compression=compressed[name]) if name in compressed else SEQUENTIAL[name]
    at = int(len(content) * 0.7)
    damaged = content[:at] + random.Random(7).randbytes(2048) + content[at + 2048 :]
    with pytest.raises(PermanentError) as refused:
        decode_image(damaged)
    assert refused.value.reason in {Reason.DAMAGED, Reason.CORRUPT}
    whole, decoded = rows(decode_image(content)), decode_image(damaged, limits=KEPT)
    assert decoded.damage is not None
    good = round(decoded.damage.decoded_fraction * HEIGHT)
    assert 0 < good <= 0.8 * HEIGHT
    pixels = rows(decoded)
    # Damaged data may decode to something for some rows before the decoder notices, where there is no checksum.
    certain = min(good, int(0.6 * HEIGHT))
    assert np.array_equal(pixels[: certain - 1], whole[: certain - 1])
    assert is_filler(pixels)[good:].all()


def test_pixels_behind_a_wrong_checksum_of_a_png_are_not_kept() -> None:
    """Stored (not compressed) pixels always decode: only the checksum of their chunk is wrong."""
    lines = b"".join(b"\0" + bytes([row]) * 40 for row in range(40))
    stored = zlib.compress(lines, 0)
    chunks = [(b"IDAT", stored[at : at + 205]) for at in range(0, len(stored), 205)]
    content = bytearray(png(struct.pack(">IIBBBBB", 40, 40, 8, 0, 0, 0, 0), *chunks))
    content[content.index(bytes([25]) * 40)] ^= 0xFF
    decoded = decode_image(bytes(content), mode="L", limits=KEPT)
    assert decoded.damage is not None
    assert 19 / 40 <= decoded.damage.decoded_fraction <= 25 / 40


def test_a_progressive_jpeg_keeps_what_its_scans_hold() -> None:
    content = encode(PHOTO, "JPEG", quality=92, progressive=True)
    whole, decoded = rows(decode_image(content)), decode_image(content[: len(content) // 2], limits=KEPT)
    assert decoded.damage is not None
    assert 0 < decoded.damage.decoded_fraction <= 1
    assert not is_filler(rows(decoded)).any()
    assert np.abs(rows(decoded).astype(int) - whole).mean() < 12


def test_an_interlaced_png_repeats_the_rows_that_it_has() -> None:
    picture = np.asarray(PHOTO.convert("L"))[:64, :64]
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    lines = [row.tobytes() for top, left, down, right in passes for row in picture[top::down, left::right]]
    content = png(struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 1), png_rows(lines))
    decoded = decode_image(content[: int(len(content) * 0.75)], mode="L", limits=KEPT)
    pixels = np.asarray(decoded.image)
    assert np.array_equal(pixels[::2], picture[::2])
    assert decoded.damage is not None
    assert 0.6 < decoded.damage.decoded_fraction < 0.9
    assert np.array_equal(pixels[63], picture[62])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_grey_rows_are_turned_with_the_picture(orientation: int) -> None:
    content = encode(PHOTO, "JPEG", quality=92, exif=exif_orientation(orientation))
    decoded = decode_image(content[: len(content) // 2], limits=KEPT)
    assert decoded.damage is not None
    stored = Image.new("L", (WIDTH, HEIGHT))
    stored.paste(255, (0, round(decoded.damage.decoded_fraction * HEIGHT), WIDTH, HEIGHT))
    upright = np.asarray(Orientation(orientation).apply(stored)) == 255
    assert ((rows(decoded) == FILLER).all(axis=2) == upright).mean() > 0.999


@pytest.mark.parametrize("kind", ["BMP", "PNG", "WebP"])
def test_a_very_high_picture_is_compared_in_few_steps(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture one pixel wide may state a hundred million rows."""
    picture = photo(2, 20, 12_000)
    content = encode(picture, kind, **({"lossless": True} if kind == "WebP" else {}))
    crops: list[Any] = []
    crop = Image.Image.crop

    def counted(image: Image.Image, box: Any) -> Image.Image:
        crops.append(box)
        return crop(image, box)

    monkeypatch.setattr(Image.Image, "crop", counted)
    decoded = decode_image(content[: len(content) // 2], limits=KEPT)
    assert len(crops) <= 2 * 8192
    assert decoded.damage is not None
    assert 0.3 < decoded.damage.decoded_fraction < 0.6
    filled = is_filler(rows(decoded)).mean()
    assert filled == pytest.approx(1 - decoded.damage.decoded_fraction, abs=0.001)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"], ids=["plain", "LZW"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_tiff_is_never_shown_as_stored(compression: str | None, orientation: int) -> None:
    content = encode(PHOTO, "TIFF", compression=compression, exif=exif_orientation(orientation)[6:])
    assert decode_image(content).info.width == (WIDTH if orientation < 5 else HEIGHT)
    at = len(content) // 2
    damaged = content[:at] if compression is None else content[:at] + bytes(2048) + content[at + 2048 :]
    with pytest.raises(PermanentError):
        decode_image(damaged, limits=KEPT)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("needed", [(40, 30), (107, 80), (36, 27)])
def test_a_reduced_picture_has_no_block_of_missing_rows(name: str, needed: tuple[int, int]) -> None:
    content = SEQUENTIAL[name]
    whole = rows(decode_image(content, needed)).astype(int)
    decoded = decode_image(content[: len(content) // 2], needed, KEPT)
    assert decoded.damage is not None
    pixels = rows(decoded)
    assert pixels.shape == whole.shape
    kept = ~is_filler(pixels)
    assert abs(kept.mean() - decoded.damage.decoded_fraction) < 0.06
    assert (np.abs(pixels[kept] - whole[kept]).max(axis=(1, 2)) > 40).sum() <= 1


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_picture_without_a_decoded_row_stays_refused(name: str) -> None:
    content = SEQUENTIAL[name]
    blank = {"JPEG": content[:650], "GIF": content[:350]}.get(name, content[:100])
    with pytest.raises(PermanentError) as refused:
        decode_image(blank)
    with pytest.raises(PermanentError) as kept:
        decode_image(blank, limits=KEPT)
    assert (kept.value.reason, kept.value.detail) == (refused.value.reason, refused.value.detail)


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", encode(PHOTO, "AVIF")[:-3000], encode(PHOTO, "JPEG2000")[:-3000]],
    ids=["empty", "text", "AVIF", "JPEG 2000"],
)
def test_what_cannot_be_decoded_in_part_stays_refused(content: bytes) -> None:
    with pytest.raises(PermanentError) as refused:
        decode_image(content)
    with pytest.raises(PermanentError) as kept:
        decode_image(content, limits=KEPT)
    assert kept.value.reason is refused.value.reason


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_whole_picture_has_no_damage_either_way(name: str) -> None:
    one, other = decode_image(SEQUENTIAL[name]), decode_image(SEQUENTIAL[name], limits=KEPT)
    assert one.damage is other.damage is None
    assert np.array_equal(rows(one), rows(other))
