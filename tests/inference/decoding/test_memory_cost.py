"""The cost formula bounds what a fresh process really takes, and is not absurdly above it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.decoding.decode import read_header
from inference.decoding.memory_cost import decode_cost
from inference.limits import Limits
from tests.inference.decoding.image_samples import encode, encode_heif, exif_orientation

WIDTH, HEIGHT = 2400, 2000
ROOT = Path(__file__).parents[3]

PROBE = """
import sys
from pathlib import Path
import pillow_heif.as_plugin
from inference.decoding.decode import decode, read_header
from inference.limits import Limits
from tools.process_stats import resident, restart_peak

def needed(width, height):
    return (width * 256 // min(width, height), height * 256 // min(width, height))

for path in sys.argv[1:2]:  # a small image first: lazy imports and tables are no cost of the large one
    content = Path(path).read_bytes()
    decode(content, read_header(content, Limits()), needed=needed)
content = Path(sys.argv[2]).read_bytes()
before = restart_peak().now
decode(content, read_header(content, Limits()), needed=needed)
print(resident().peak - before)
"""


def photo(width: int, height: int) -> Image.Image:
    random = np.random.default_rng(3)
    coarse = random.integers(0, 255, (height // 40, width // 40, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)


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
        "AVIF with alpha": lambda: encode(transparent, "AVIF", speed=10),
        "JPEG 2000": lambda: encode(image, "JPEG2000", irreversible=True, quality_mode="rates", quality_layers=[40]),
        "HEIC with alpha": lambda: encode_heif(transparent, quality=30, enc_params={"preset": "ultrafast"}),
    }
    return writers[name]()


NAMES = [
    "baseline JPEG", "turned JPEG", "progressive JPEG", "progressive JPEG 4:4:4", "CMYK JPEG", "PNG", "PNG with alpha",
    "palette PNG", "GIF", "BMP", "WebP", "TIFF", "turned TIFF in one strip", "AVIF with alpha", "JPEG 2000",
    "HEIC with alpha",
]  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the resident set from /proc")
@pytest.mark.parametrize("name", NAMES)
def test_the_formula_bounds_what_a_decode_takes(name: str, tmp_path: Path) -> None:
    content = written(photo(WIDTH, HEIGHT), name)
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(written(photo(200, 160), name))
    large.write_bytes(content)
    run = subprocess.run(
        [sys.executable, "-c", PROBE, str(small), str(large)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    measured = int(run.stdout)
    header = read_header(content, Limits())
    cost = decode_cost(
        header, lambda width, height: (width * 256 // min(width, height), height * 256 // min(width, height))
    )
    assert measured <= cost
    assert cost <= 3 * measured + 20 * 1024 * 1024  # three: a TIFF that is neither turned nor in one strip
