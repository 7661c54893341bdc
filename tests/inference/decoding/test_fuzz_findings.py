"""What the fuzzers found, made small and kept: each of these once got past a rule."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from inference.decoding.decode import read_header
from inference.decoding.memory_cost import decode_cost
from inference.errors import PermanentError, Reason
from inference.limits import Limits
from tests.inference.decoding.image_samples import encode

ROOT = Path(__file__).parents[3]


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
    assert costs[0] < 60 * 2**20
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
from tests.inference.decoding.fuzz import Judge
from tools.process_stats import resident, restart_peak

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


def tiff(height: int, tags: dict[int, tuple[int, ...]]) -> bytes:
    """Grey, 16 pixels wide; the parts that are listed lie in the file, all in one place."""
    layout = {256: (16,), 257: (height,), 258: (8,), 259: (1,), 262: (1,), **tags}
    behind = 8 + 2 + 12 * len(layout) + 4
    entries, values = b"", b""
    for tag, numbers in sorted(layout.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        where = struct.pack("<I", behind + len(values)) if len(numbers) > 1 else packed
        values += packed if len(numbers) > 1 else b""
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + where
    content = b"II*\0" + struct.pack("<IH", 8, len(layout)) + entries + bytes(4) + values
    return content + bytes(range(256)) * 8


@pytest.mark.parametrize(
    ("parts", "listed"),
    [
        ({278: (8,), 273: (500,) * 4, 279: (128,) * 4}, 4),
        ({278: (8,), 273: (500,) * 12, 279: (128,) * 12, 277: (3,), 284: (2,), 262: (2,), 258: (8, 8, 8)}, 12),
        ({322: (16,), 323: (16,), 324: (500,) * 2, 325: (256,) * 2}, 2),
    ],
    ids=["strips", "strips in planes", "tiles"],
)
def test_a_tiff_must_list_all_parts_of_its_picture(parts: dict[int, tuple[int, ...]], listed: int) -> None:
    """Pillow left the rows black for which there was no strip: 3 KB of 24 rows said they were 16,711,704."""
    whole = read_header(tiff(32, parts), Limits())
    assert whole.stored_size == (16, 32)
    fewer = {tag: numbers[:-1] if len(numbers) == listed else numbers for tag, numbers in parts.items()}
    with pytest.raises(
        PermanentError, match=f"{listed - 1} of the {listed} parts of its picture are listed"
    ) as refusal:
        read_header(tiff(32, fewer), Limits())
    assert refusal.value.reason is Reason.TRUNCATED


def test_the_rows_of_a_narrow_picture_are_paid_for() -> None:
    """A picture of 1 x 16,711,704 took 382 MiB and had asked for 326: Pillow keeps a pointer to each row."""
    narrow = read_header(encode(Image.new("RGB", (1, 100_000)), "PNG"), Limits())
    square = read_header(encode(Image.new("RGB", (400, 250)), "PNG"), Limits())
    needs = [decode_cost(header, needed) for header in (narrow, square)]
    assert needs[0] - needs[1] == pytest.approx(3 * 8 * 100_000, rel=0.01)
