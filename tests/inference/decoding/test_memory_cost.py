"""The memory reserved for an image is what it takes: bounded, and not far above the measured peak."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from inference.decoding.memory_cost import FIXED_BYTES
from tests.inference.decoding.image_samples import encode, memory_bytes
from tests.inference.decoding.memory_layouts import LAYOUTS
from tests.inference.decoding.memory_table import Measured, measure

WIDTH, HEIGHT = {"5": (2592, 1952), "12": (4000, 3008)}[os.environ.get("MEMORY_MEGAPIXELS", "5")]
EVERY = 1 if os.environ.get("MEMORY_LAYOUTS") == "all" else 2
ROOT = Path(__file__).parents[3]
FORMATS = sorted({layout.format for layout in LAYOUTS.values()})

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


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Measured]]:
    """The measured layouts of each format. One process measures many formats: to start one takes a second."""
    layouts = {name: [each for each in LAYOUTS if LAYOUTS[each].format == name][::EVERY] for name in FORMATS}
    others = [layout for name in FORMATS if name != "jpeg" for layout in layouts[name]]
    found: dict[str, list[Measured]] = {name: [] for name in FORMATS}
    for chosen, inputs in ((layouts["jpeg"], ["reduced", "whole"]), (others, ["whole"])):
        for row in measure(chosen, inputs, WIDTH, HEIGHT):
            found[LAYOUTS[row.layout].format].append(row)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the resident set from /proc")
@pytest.mark.parametrize("name", FORMATS)
def test_the_memory_asked_for_is_the_memory_taken(rows: dict[str, list[Measured]], name: str) -> None:
    """Within 20 %, and the bytes that every estimate adds: for tables and bands, and in HEIC and AVIF for threads.

    What freed blocks leave in the heaps depends on chance: 10 % less may be asked for. Every second layout of a format
    is measured here: ``MEMORY_LAYOUTS=all`` measures every one, as ``memory_table`` does.
    """
    added = FIXED_BYTES + (10 * 1024 * 1024 if name in {"heif", "avif"} else 0)
    assert rows[name]
    wrong = [row for row in rows[name] if not 0.9 * row.taken <= row.reserved <= 1.2 * row.taken + added]
    assert not wrong


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the resident set from /proc")
@pytest.mark.parametrize("layout", ["JPEG baseline 4:2:0", "PNG palette"])
def test_the_estimate_includes_the_input_of_the_model(layout: str) -> None:
    """A picture becomes an input of 4 megapixels in float32, channels last."""
    (row,) = measure([layout], ["large"], WIDTH, HEIGHT)
    assert row.taken > 2 * 2048 * 2048 * 3 * 4
    assert row.taken <= row.reserved <= 1.2 * row.taken + FIXED_BYTES


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
