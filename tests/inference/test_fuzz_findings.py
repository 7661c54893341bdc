"""What the fuzzers found, made small and kept: each of these once got past a rule."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from inference.decode import read_header
from inference.decode_cost import decode_cost
from inference.limits import Limits
from tests.inference.image_samples import encode

ROOT = Path(__file__).parents[2]


def needed(_width: int, _height: int) -> tuple[int, int]:
    return 256, 256


def jpeg2000_in_tiles(width: int, height: int, tile_width: int, tile_height: int, *, boxed: bool) -> bytes:
    """A picture of a few bytes whose header says that it is that large and cut up that small."""
    content = encode(Image.new("RGB", (40, 24), (70, 140, 90)), "JPEG2000", no_jp2=not boxed)
    at = content.index(b"\xff\x4f\xff\x51") + 8
    sizes = struct.pack(">8I", width, height, 0, 0, tile_width, tile_height, 0, 0)
    whole = content[:at] + sizes + content[at + 32 :]
    return whole.replace(struct.pack(">II", 24, 40), struct.pack(">II", height, width))  # in the box before, too


@pytest.mark.parametrize("boxed", [True, False], ids=["in a JP2 file", "a bare codestream"])
def test_every_tile_of_a_jpeg_2000_is_paid_for(*, boxed: bool) -> None:
    """3 KB of one million pixels in 43,691 tiles took 486 MiB and had asked for 36: OpenJPEG keeps 11 KiB per tile."""
    costs = [
        decode_cost(read_header(jpeg2000_in_tiles(1, 1_048_576, 1, tile, boxed=boxed), Limits()), needed)
        for tile in (1_048_576, 24)
    ]
    assert costs[0] < 40 * 2**20
    assert costs[1] - costs[0] == pytest.approx(43_690 * 12 * 1024)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the resident set from /proc")
def test_many_tiles_take_no_more_memory_than_was_asked_for(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(jpeg2000_in_tiles(40, 24, 40, 24, boxed=True))
    large.write_bytes(jpeg2000_in_tiles(1, 1_048_576, 1, 24, boxed=True))
    program = """
import json, sys
from pathlib import Path
from inference.limits import Limits
from tests.inference.fuzz import Judge
from tools.processes import resident, restart_peak

judge = Judge(Limits())
judge.outcome(Path(sys.argv[1]).read_bytes())
before = restart_peak().now
outcome = judge.outcome(Path(sys.argv[2]).read_bytes())
taken = resident().peak - before
print(json.dumps([outcome[0], judge.admission.asked_bytes, taken]))
"""
    run = subprocess.run(
        [sys.executable, "-c", program, small, large], cwd=ROOT, check=True, capture_output=True, text=True
    )
    outcome, asked, taken = json.loads(run.stdout)
    assert outcome in {"classified", "corrupt", "truncated"}
    assert 100 * 2**20 < taken <= asked
