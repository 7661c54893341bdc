"""The worst inputs that are known, eight at once in a process of 2 GB: they wait for each other, and none ends it."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from inference.errors import Reason
from tests.inference.decoding.formats.heif_files import put_together, taken_apart
from tests.inference.decoding.image_samples import encode
from tests.inference.decoding.memory_layouts import one_scan_per_component
from tests.inference.decoding.test_bombs import tiff_of_one_tile

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
MIB = 1024 * 1024

PROGRAM = """
import collections, json, resource, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000,) * 2)

from inference import classifier
from inference.errors import PermanentError
from inference.resources.admission import Admission
from inference.resources.memory import budget_bytes, return_freed_memory
from tools.process_stats import resident

return_freed_memory()
model = classifier.load("models/shapes", admission=Admission(budget_bytes(None)))

def outcome(content):
    try:
        model.classify(content)
    except PermanentError as error:
        return error.reason
    return "classified"

content = Path(sys.argv[1]).read_bytes()
before = resident().now
with ThreadPoolExecutor(8) as pool:
    outcomes = collections.Counter(pool.map(outcome, [content] * 8))
print(json.dumps({"outcomes": outcomes, "taken": resident().peak - before, "budget": budget_bytes(None)}))
"""


def png_of_packed_texts() -> bytes:
    """67 KB with 63 texts of 1 MiB each; Pillow's own reader inflates and keeps them."""
    content = encode(Image.new("RGB", (64, 64)), "PNG")
    at = content.index(b"IDAT") - 4
    text = b"Comment\0\0" + zlib.compress(bytes(1024 * 1024 - 16), 9)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    return content[:at] + chunk * 63 + content[at:]


def tiff_of_one_large_tile() -> bytes:
    """A picture of 16 x 16 pixels in one tile of 8192 x 8192: libtiff decodes the whole tile, 192 MiB."""
    side = 8192
    content = tiff_of_one_tile(side, 8)
    pixels = zlib.compress(bytes(3 * side * side), 1)
    at = content.index(zlib.compress(bytes(1000)))
    entry = struct.pack("<HHI", 325, 4, 1)
    length = content.index(entry) + len(entry)
    return content[:length] + struct.pack("<I", len(pixels)) + content[length + 4 : at] + pixels


def heic_of_large_tiles() -> bytes:
    """A picture of 64 x 64 pixels in four tiles of 12 megapixels."""
    tile = taken_apart("HEIC", Image.new("RGB", (4000, 3000), (90, 120, 60)))
    return put_together("HEIC", [tile] * 4, (4000, 3000), grid=(2, 2, 64, 64))


WORST: dict[str, tuple[Callable[[], bytes], int, set[str]]] = {
    "PNG of packed texts": (png_of_packed_texts, 64, {"classified"}),
    "TIFF of one large tile": (tiff_of_one_large_tile, 1024, {"classified"}),
    "JPEG of one scan per component": (
        lambda: one_scan_per_component(Image.new("RGB", (6000, 4000))),
        1024,
        {"classified"},
    ),
    "HEIC of large tiles": (heic_of_large_tiles, 1024, {"classified"}),
    "lossless WebP": (
        lambda: encode(Image.new("RGB", (5000, 5000)), "WEBP", lossless=True, method=0),
        1024,
        {"classified"},
    ),
    "12-bit JPEG": (
        lambda: encode(Image.new("L", (4000, 4000)), "JPEG").replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc1\0\x0b\x0c"),
        16,
        {Reason.UNSUPPORTED_FORMAT.value},
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.parametrize("name", WORST)
def test_eight_of_the_worst_inputs_at_once_do_not_end_a_process_of_two_gigabytes(name: str, tmp_path: Path) -> None:
    write, most_mib, outcomes = WORST[name]
    (tmp_path / "worst").write_bytes(write())
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "worst")], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]
    measured = json.loads(run.stdout)
    assert set(measured["outcomes"]) == outcomes
    assert measured["taken"] <= min(most_mib * MIB, measured["budget"] + 128 * MIB)
