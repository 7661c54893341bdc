"""An image that cannot be classified is refused with a stable reason and a sentence with its own numbers."""

from __future__ import annotations

import struct
import sys
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from inference.decoding.decoder_errors import decoder_errors
from inference.errors import PermanentError, Reason, TransientError
from inference.limits import Limits
from tests.inference.decoding.image_samples import (
    decode_image,
    encode,
    encode_heif,
    png,
    scene,
    with_segments,
)

NOISE = Image.fromarray(np.random.default_rng(7).integers(0, 255, (64, 96, 3), dtype=np.uint8))
SCENE = Image.fromarray(scene())


def refusal(content: bytes, limits: Limits | None = None) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        decode_image(content, (8, 8), limits)
    detail = caught.value.detail
    assert detail.endswith(".")
    assert "\n" not in detail
    return caught.value


def test_a_file_without_content_is_empty() -> None:
    assert refusal(b"").reason is Reason.EMPTY


@pytest.mark.parametrize(
    "content", [b"hello, I am a text file named .jpg", b"<html></html>", b"\0" * 100, b"B", b"BM and text after it"]
)
def test_unknown_content_is_not_an_image(content: bytes) -> None:
    assert refusal(content).reason is Reason.NOT_AN_IMAGE


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"%PDF-1.7\n", "PDF"),
        (b"\n\n%PDF-1.4", "PDF"),
        (b'<?xml version="1.0"?>\n<!-- x --><svg xmlns="">', "SVG"),
        (b"<svg>", "SVG"),
        (b"PK\x03\x04...", "ZIP"),
        (b"8BPS\0\1", "PSD"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isom", "MP4"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "MOV"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "MOV"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0", "CR3"),
        (b"II*\0\x10\0\0\0CR\x02\0", "CR2"),
        (b"IIRO\x08\0\0\0", "ORF"),
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"P6\n3 3\n255\n", "PNM"),
        (b"\0" * 128 + b"DICM", "DICOM"),
        (b"\x1a\x45\xdf\xa3", "Matroska"),
        (b"\x0a\x05\x01\x08", "PCX"),
        (b"\x01\xda\x01\x01", "SGI"),
        (b"SDPX\0\0", "DPX"),
    ],
)
def test_a_known_format_that_is_not_supported_is_named(content: bytes, name: str) -> None:
    error = refusal(content + bytes(64))
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert name in error.detail


def tiff_with_tag(tag: int, kind: int, value: int, *, also: tuple[int, int, int] | None = None) -> bytes:
    tags = sorted([(tag, kind, value), *([also] if also else [])])
    body = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", t, k, 1, v) for t, k, v in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + body


def test_raw_photos_inside_tiff_are_named() -> None:
    assert "DNG" in refusal(tiff_with_tag(50706, 1, 0x401)).detail
    assert "NEF" in refusal(tiff_with_tag(254, 4, 1, also=(330, 4, 8))).detail


def test_float_tiff_is_refused_by_name() -> None:
    error = refusal(encode(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert "floating-point" in error.detail


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        pytest.param([(258, 32), (259, 1), (262, 2), (277, 3), (339, 3)], "floating-point", id="RGB of floats"),
        pytest.param([(258, 8), (259, 50001), (262, 2), (277, 3)], "WebP", id="WebP inside"),
        pytest.param([(258, 8), (259, 1), (262, 6), (277, 3), (530, 2)], "chroma", id="plain YCbCr 4:2:0"),
    ],
)
def test_an_unsupported_variant_of_tiff_is_not_called_damaged(tags: list[tuple[int, int]], name: str) -> None:
    entries = sorted([(256, 4), (257, 4), (273, 8), (279, 48), *tags])
    body = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in entries)
    error = refusal(b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(300))
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert name in error.detail


def test_heic_without_its_decoder_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif.as_plugin", None)
    error = refusal(encode_heif(SCENE))
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert "HEIC" in error.detail


WHOLE = {
    "baseline JPEG": encode(NOISE, "JPEG", quality=90),
    "progressive JPEG": encode(NOISE, "JPEG", quality=90, progressive=True),
    "grey JPEG": encode(NOISE.convert("L"), "JPEG"),
    "JPEG with restart markers": encode(NOISE, "JPEG", restart_marker_blocks=1),
    "PNG": encode(NOISE, "PNG"),
    "lossy WebP": encode(NOISE, "WEBP"),
    "lossless WebP": encode(NOISE, "WEBP", lossless=True),
    "GIF": encode(NOISE.quantize(64), "GIF"),
    "animated GIF": encode(NOISE.quantize(64), "GIF", save_all=True, append_images=[SCENE.quantize(64)]),
    "BMP": encode(NOISE, "BMP"),
    "TIFF": encode(NOISE, "TIFF"),
    "LZW TIFF": encode(NOISE, "TIFF", compression="tiff_lzw"),
    "AVIF": encode(NOISE, "AVIF"),
    "JPEG 2000": encode(NOISE, "JPEG2000"),
    "bare JPEG 2000 codestream": encode(NOISE, "JPEG2000", no_jp2=True),
    "ICO": encode(NOISE, "ICO", sizes=[(96, 64)]),
    "HEIC": encode_heif(NOISE),
}


@pytest.mark.parametrize("name", sorted(WHOLE.keys() - {"animated GIF"}))  # cut in a later frame: test_cut_files.py
@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.75, 0.99])
def test_a_file_cut_at_any_point_is_truncated(name: str, share: float) -> None:
    content = WHOLE[name]
    assert refusal(content[: max(20, int(len(content) * share))]).reason is Reason.TRUNCATED


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.9])
@pytest.mark.parametrize("side", [8, 100], ids=["reduced", "whole"])
def test_a_cut_jpeg_with_an_end_marker_is_truncated(share: float, side: int) -> None:
    """libjpeg fills the rest with one colour and reports no error: a camera that lost power writes such files."""
    content = encode(Image.fromarray(scene(600, 400)), "JPEG", quality=90)
    start = content.index(b"\xff\xda")
    cut = content[: start + int((len(content) - start) * share)] + b"\xff\xd9"
    with pytest.raises(PermanentError) as caught:
        decode_image(cut, (side, side))
    assert caught.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"subsampling": 0}])
@pytest.mark.parametrize("colour", [(255, 255, 255), (12, 200, 90)])
def test_a_flat_picture_is_not_truncated(colour: tuple[int, int, int], options: dict[str, Any]) -> None:
    content = encode(Image.new("RGB", (123, 77), colour), "JPEG", **options) + b"and what a camera appends \xff\xd9"
    assert decode_image(content, (8, 8)).image


def test_bytes_behind_the_picture_are_ignored() -> None:
    for name in ("baseline JPEG", "PNG", "GIF", "lossy WebP", "TIFF", "AVIF", "HEIC", "JPEG 2000", "BMP", "ICO"):
        content = WHOLE[name] + b"appended by a camera"
        assert decode_image(content, (8, 8)).image


def test_damaged_pixels_are_corrupt() -> None:
    content = bytearray(WHOLE["PNG"])
    start = content.index(b"IDAT") + 40
    content[start : start + 40] = bytes(40)
    error = refusal(bytes(content))
    assert error.reason is Reason.CORRUPT
    assert error.image is not None
    assert (error.image.width, error.image.height) == (96, 64)


def test_a_file_above_the_byte_limit_is_refused() -> None:
    error = refusal(WHOLE["PNG"], Limits(max_bytes=1000))
    assert error.reason is Reason.TOO_MANY_BYTES
    assert "1,000" in error.detail


HUGE = struct.pack(">II", 30_000, 30_000)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(png(HUGE + b"\x08\x02\0\0\0", (b"IDAT", b"")), id="PNG"),
        pytest.param(
            b"\xff\xd8\xff\xc2\0\x11\x08\x75\x30\x75\x30\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xda\0\x0c\x03\x01\0\x02\x11\x03\x11\0\x3f\0\xff\xd9",
            id="progressive JPEG, before any reduction",
        ),
        pytest.param(
            b"GIF89a" + struct.pack("<HH", 30_000, 30_000) + b"\0\0\0,\0\0\0\0\1\0\1\0\0\2\2\x4c\1\0;", id="GIF"
        ),
        pytest.param(
            b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0), id="BMP"
        ),
        pytest.param(
            b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + b"\xfe\x3f\0" * 2, id="WebP"
        ),
        pytest.param(
            b"\xff\x4f\xff\x51"
            + struct.pack(">HHIIIIIIIIH", 47, 0, 30_000, 30_000, 0, 0, 64, 64, 0, 0, 3)
            + b"\x07\1\1" * 3
            + b"\xff\xd9",
            id="JPEG 2000",
        ),
    ],
)
def test_an_image_above_the_pixel_limit_is_refused_before_decoding(content: bytes) -> None:
    tracemalloc.start()
    error = refusal(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.reason is Reason.TOO_MANY_PIXELS
    assert "200,000,000" in error.detail
    assert error.image is not None
    assert error.image.width * error.image.height > 200_000_000
    assert peak < 1_000_000


def test_an_animation_above_the_frame_limit_is_refused() -> None:
    assert refusal(WHOLE["animated GIF"], Limits(max_frames=1)).reason is Reason.TOO_MANY_FRAMES


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(with_segments(WHOLE["baseline JPEG"], *[(0xFE, b"")] * 60_000), id="JPEG of empty comments"),
        pytest.param(
            png(struct.pack(">II", 4, 4) + b"\x08\0\0\0\0", *[(b"tEXt", b"")] * 60_000), id="PNG of empty texts"
        ),
        pytest.param(b"GIF89a\4\0\4\0\0\0\0" + b"!\xfe\0" * 60_000 + b";", id="GIF of empty comments"),
    ],
)
def test_a_file_above_the_chunk_limit_is_refused(content: bytes) -> None:
    assert refusal(content).reason is Reason.TOO_MANY_FRAMES


def test_a_long_run_of_fill_bytes_is_corrupt() -> None:
    assert refusal(b"\xff\xd8" + b"\xff" * 10_000_000 + b"\xda").reason is Reason.CORRUPT


def test_a_picture_larger_than_any_icon_is_a_bomb() -> None:
    picture = png(HUGE + b"\x08\x02\0\0\0")
    content = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(picture), 22) + picture
    assert refusal(content).reason is Reason.DECOMPRESSION_BOMB


def test_out_of_memory_is_transient() -> None:
    with pytest.raises(TransientError), decoder_errors("png"):
        raise MemoryError


def test_global_pillow_limits_and_warning_filters_have_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = WHOLE["baseline JPEG"]
        assert decode_image(content, (8, 8)).image
        assert refusal(WHOLE["lossy WebP"]).reason is Reason.TOO_MANY_PIXELS  # that reader asks the global by itself


def test_no_global_of_pillow_is_changed() -> None:
    before = (
        Image.MAX_IMAGE_PIXELS,
        ImageFile.LOAD_TRUNCATED_IMAGES,
        PngImagePlugin.MAX_TEXT_CHUNK,
        "HEIF" in Image.OPEN,
    )
    for content in (*WHOLE.values(), encode_heif(SCENE)):
        decode_image(content, (8, 8))
    after = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK, "HEIF" in Image.OPEN
    assert after == before
