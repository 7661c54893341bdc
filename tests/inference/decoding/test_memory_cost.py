"""The estimate of a decode's memory is an upper bound of the measured peak, and not far above it."""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.inference.decoding.image_samples import encode, encode_heif, exif_orientation, memory_bytes

WIDTH, HEIGHT = 2400, 2000
ROOT = Path(__file__).parents[3]

PROBE = """
import sys
from pathlib import Path
import pillow_heif.as_plugin
from inference.decoding.decode import decode
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
from inference.limits import Limits
from tools.process_stats import resident, restart_peak

def decode_to_256(content):
    header = read_header(content, Limits())
    width, height = header.info.width, header.info.height
    decode(content, plan_decode(header, (width * 256 // min(width, height), height * 256 // min(width, height))))

decode_to_256(Path(sys.argv[1]).read_bytes())  # a small image first, so that lazy imports are not measured
content = Path(sys.argv[2]).read_bytes()
before = restart_peak().now
decode_to_256(content)
print(resident().peak - before)
"""


def photo(width: int, height: int) -> Image.Image:
    random = np.random.default_rng(3)
    coarse = random.integers(0, 255, (height // 40, width // 40, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)


def in_one_tile(image: Image.Image) -> bytes:
    """Write a TIFF with one tile of 3072 x 3072; Pillow writes no tiles."""
    stream = BytesIO()
    tifffile.imwrite(
        stream, np.asarray(image), photometric="rgb", tile=(3072, 3072), compression="adobe_deflate", metadata=None
    )
    return stream.getvalue()


def written(image: Image.Image, name: str) -> bytes:
    transparent = image.convert("RGBA")
    transparent.putalpha(image.convert("L"))
    writers = {
        "baseline JPEG": lambda: encode(image, "JPEG"),
        "turned JPEG": lambda: encode(image, "JPEG", exif=exif_orientation(6)),
        "progressive JPEG": lambda: encode(image, "JPEG", progressive=True),
        "progressive JPEG 4:4:4": lambda: encode(image, "JPEG", progressive=True, subsampling=0),
        "CMYK JPEG": lambda: encode(image.convert("CMYK"), "JPEG"),
        "PNG": lambda: encode(image, "PNG", compress_level=1),
        "PNG with alpha": lambda: encode(transparent, "PNG", compress_level=1),
        "palette PNG": lambda: encode(image.convert("P"), "PNG", compress_level=1),
        "GIF": lambda: encode(image.convert("P"), "GIF"),
        "BMP": lambda: encode(image, "BMP"),
        "WebP": lambda: encode(image, "WEBP", method=0),
        "TIFF": lambda: encode(image, "TIFF"),
        "turned TIFF in one strip": lambda: encode(
            image, "TIFF", compression="tiff_lzw", tiffinfo={278: HEIGHT}, exif=exif_orientation(6)
        ),
        "TIFF of one tile, larger than the picture": lambda: in_one_tile(image),
        "AVIF with alpha": lambda: encode(transparent, "AVIF", speed=10),
        "JPEG 2000": lambda: encode(image, "JPEG2000", irreversible=True, quality_mode="rates", quality_layers=[40]),
        "HEIC with alpha": lambda: encode_heif(transparent, quality=30, enc_params={"preset": "ultrafast"}),
    }
    return writers[name]()


NAMES = [
    "baseline JPEG", "turned JPEG", "progressive JPEG", "progressive JPEG 4:4:4", "CMYK JPEG", "PNG", "PNG with alpha",
    "palette PNG", "GIF", "BMP", "WebP", "TIFF", "turned TIFF in one strip",
    "TIFF of one tile, larger than the picture", "AVIF with alpha", "JPEG 2000",
    "HEIC with alpha",
]  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the resident set from /proc")
@pytest.mark.parametrize("name", NAMES)
def test_the_estimate_bounds_the_memory_of_a_decode(name: str, tmp_path: Path) -> None:
    content = written(photo(WIDTH, HEIGHT), name)
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(written(photo(200, 160), name))
    large.write_bytes(content)
    run = subprocess.run(
        [sys.executable, "-c", PROBE, str(small), str(large)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    measured = int(run.stdout)
    cost = memory_bytes(content, (WIDTH * 256 // HEIGHT, 256))
    assert measured <= cost
    assert cost <= (1.2 if "TIFF" in name else 3) * measured + 16 * 1024 * 1024


def test_the_estimate_includes_the_row_pointers_of_a_narrow_picture() -> None:
    """Pillow keeps a pointer to each row: a picture of 1 x 16,711,704 took 382 MiB."""
    narrow, square = (
        memory_bytes(encode(Image.new("RGB", size), "PNG"), (256, 256)) for size in ((1, 100_000), (400, 250))
    )
    assert narrow - square == pytest.approx(3 * 8 * 100_000, rel=0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the resident set from /proc")
def test_sixteen_concurrent_images_finish_within_the_budget() -> None:
    """One WebP of 5 megapixels takes 80 MiB; without admission the sixteen would take about 700."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.inference.decoding.memory_stress", "--megapixels", "5", "--budget-mib", "120"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    measured = json.loads(run.stdout)
    assert measured["finished"] == 16
    assert measured["peak_mib"] - measured["before_mib"] <= measured["budget_mib"] + 16
    assert measured["after_mib"] - measured["before_mib"] <= 48
