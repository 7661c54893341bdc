"""JPEG 2000: subsampled chroma, which Pillow reads and does not write, and the memory of tiles and code-blocks."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.decoding.formats.jpeg2000 import read_codestream, refuse_sheared_chroma
from inference.decoding.header import read_header
from inference.errors import PermanentError, Reason
from inference.limits import Limits
from tests.inference.decoding.image_samples import decode_image, encode, memory_bytes, scene

ROOT = Path(__file__).parents[4]
WIDTH, HEIGHT = 32, 24
LOSS = 4  # on average: half the chroma is gone

# scene(32, 24), written by libvips: one sample of Cb and Cr for two pixels, in both directions.
SUBSAMPLED = bytes.fromhex(
    "0000000c6a5020200d0a870a00000014667479706a703220000000006a7032200000002d6a703268000000166968647200000018000000"
    "200003070700000000000f636f6c7201000000000012000002656a703263ff4fff51002f00000000002000000018000000000000000000"
    "0002000000020000000000000000000003070101070202070202ff52000d0102000100000404000088ff5c0005424000ff640025000143"
    "726561746564206279204f70656e4a5045472076657273696f6e20322e352e30ff90000a0000000001eb0001ff93cfa3a060850e9f0608"
    "2d12545a30bc8ed673f16846aae7126e1665edace7532b808a060352cde42304d541b5fde3dbc838bdfa10a5ae2dca19784dda03c0cb0b"
    "65fa5d82757ba5e8b6a474ad6571cd8c5ce57457e88703933394bb2ce8c9b6a2fbc2a151eaa91b23dab0d3f8f82fa52a716b75784b88d4"
    "2b7bdf5c7f5520f46fca332e374728a9ab9c16c1395c8ff513430c637adf56ccf67c7f75bac7aa7b0e288a8f7a936ccc1cc25b40856374"
    "eeb6919e08995c6d3698a053c4c452a30b73b80c57b5c1744eacb4cc444bf73fbf2b384c4d80a6ce0e8e13f3e9f1d0a896064550648299"
    "966d71599ed4a38cb62995190190191bd20d1e0e0fac816d3e5af145355d7a70f9c0cfa2ba21b57dddc344f3211be8ba5bc6c3696f7966"
    "3228d4ce34441134ae2181ff786d93bc32780b5670c4b815668592b419e694bb12b96f3ff1fb8da26a7e156c97d13ea49b271aa84d7b48"
    "88caa8ff7b40bfabd4bc3816d8fcc35042f7613bcfa6e6114f03ca48c27bb0ad7561b092419eb78fd306e4e90e544492d5e8f1a523d6e2"
    "833228446ebafbaa4d38cef00184bfd21b8a27c8a76718f1672ad5f394312fe0fe02eefe1035523f43bb6cd529f2d0a186646b9616f7fc"
    "9424d0441072572e1babe565fd9929f8b33cefb97d6dd0c76a5376d2ffd9"
)
SIZES_AT = SUBSAMPLED.index(b"\xff\x4f\xff\x51") + 8


def laid_out(right: int, tile_width: int, *, left: int = 0, tile_left: int = 0) -> bytes:
    """Write another layout into the codestream; its samples stay the same."""
    sizes = struct.pack(">8I", right, HEIGHT, left, 0, tile_width, 512, tile_left, 0)
    return SUBSAMPLED[:SIZES_AT] + sizes + SUBSAMPLED[SIZES_AT + len(sizes) :]


def test_subsampled_chroma_is_decoded_in_place() -> None:
    decoded = decode_image(SUBSAMPLED)
    assert decoded.image.size == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(decoded.image).astype(int) - scene(WIDTH, HEIGHT)).mean() <= LOSS


def test_a_width_that_the_decoder_would_shear_is_refused_from_the_header() -> None:
    content = laid_out(WIDTH + 1, 512)
    box = content.index(b"ihdr") + 4
    content = content[:box] + struct.pack(">II", HEIGHT, WIDTH + 1) + content[box + 8 :]
    with pytest.raises(PermanentError, match="33 columns with one chroma sample for each 2") as caught:
        read_header(content, Limits())
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(laid_out(31, 512), id="an odd width"),
        pytest.param(laid_out(320, 65), id="tiles of odd width"),
        pytest.param(laid_out(321, 512, left=1), id="an odd beginning"),
        pytest.param(laid_out(2000, 512, tile_left=1, left=2), id="tiles that begin at an odd column"),
    ],
)
def test_an_edge_inside_a_chroma_sample_is_refused(content: bytes) -> None:
    with pytest.raises(PermanentError):
        refuse_sheared_chroma(read_codestream(content))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(SUBSAMPLED, id="one tile"),
        pytest.param(laid_out(4000, 512), id="tiles"),
        pytest.param(laid_out(32, 65), id="one tile of odd width, larger than the picture"),
        pytest.param(SUBSAMPLED.replace(b"\x07\x02\x02", b"\x07\x01\x01")[:200], id="whole chroma"),
        pytest.param(b"\xff\x4f\xff\x51", id="nothing"),
    ],
)
def test_edges_between_chroma_samples_are_accepted(content: bytes) -> None:
    refuse_sheared_chroma(read_codestream(content))


@pytest.mark.parametrize(("blocks", "samples"), [((64, 64), 4096), ((8, 4), 32), ((4, 4), 16)], ids=str)
def test_the_estimate_includes_small_code_blocks(blocks: tuple[int, int], samples: int) -> None:
    """OpenJPEG keeps 400 bytes for each block: in blocks of 4 x 4, a file of a few KB takes 76 bytes a pixel more."""
    content = encode(Image.new("RGB", (512, 512)), "JPEG2000", codeblock_size=blocks)
    assert read_codestream(content).block_samples == samples
    usual = encode(Image.new("RGB", (512, 512)), "JPEG2000")
    assert memory_bytes(content) - memory_bytes(usual) == pytest.approx(
        448 * 3 * 512 * 512 * (1 / samples - 1 / 4096), abs=1
    )


# Behind the main header: Lcod, Scod, progression, layers, transform of colours, then levels, block, style, transform.
OTHERS = {
    "a tile's own": b"\xff\x52\x00\x0c\x00\x00\x00\x01\x00\x05\x00\x01\x00\x01",
    "one component's": b"\xff\x53\x00\x09\x00\x00\x05\x00\x01\x00\x01",
    "one component's of many": b"\xff\x53\x00\x0a\x01\x00\x00\x05\x00\x01\x00\x01",
    "a precinct's part": b"\xff\x52\x00\x0e\x01\x00\x00\x01\x00\x01\x04\x04\x00\x01\x34\x34",
}


@pytest.mark.parametrize("style", OTHERS.values(), ids=OTHERS.keys())
def test_the_smallest_code_block_of_all_headers_is_used(style: bytes) -> None:
    content = encode(Image.new("RGB", (512, 512)), "JPEG2000")
    at = content.index(b"\xff\x90")  # where the first tile begins
    assert read_codestream(content).block_samples == 4096
    assert read_codestream(content[:at] + style + content[at:]).block_samples == 32


def jpeg2000_in_tiles(width: int, height: int, tile_width: int, tile_height: int, *, boxed: bool) -> bytes:
    """A picture of a few bytes whose header states this size and these tiles."""
    content = encode(Image.new("RGB", (40, 24), (70, 140, 90)), "JPEG2000", no_jp2=not boxed)
    at = content.index(b"\xff\x4f\xff\x51") + 8
    sizes = struct.pack(">8I", width, height, 0, 0, tile_width, tile_height, 0, 0)
    whole = content[:at] + sizes + content[at + 32 :]
    return whole.replace(struct.pack(">II", 24, 40), struct.pack(">II", height, width))  # in the box before, too


@pytest.mark.parametrize("boxed", [True, False], ids=["in a JP2 file", "a bare codestream"])
def test_the_estimate_includes_every_tile(*, boxed: bool) -> None:
    """OpenJPEG keeps 11 KiB per tile: a file of 3 KB with one million pixels in 43,691 tiles took 486 MiB."""
    tiles = (1_048_576, 24)
    costs = [memory_bytes(jpeg2000_in_tiles(1, 1_048_576, 1, tile, boxed=boxed), (256, 256)) for tile in tiles]
    assert costs[0] < 61 * 2**20
    assert costs[1] - costs[0] == pytest.approx(43_690 * 12 * 1024, rel=0.06)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the resident set from /proc")
def test_many_tiles_take_no_more_memory_than_estimated(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(jpeg2000_in_tiles(40, 24, 40, 24, boxed=True))
    large.write_bytes(jpeg2000_in_tiles(1, 1_048_576, 1, 24, boxed=True))
    program = """
import json, sys
from pathlib import Path
from inference.limits import Limits
from tests.inference.decoding.fuzz import FuzzTarget
from tools.process_stats import resident, restart_peak

target = FuzzTarget(Limits())
target.outcome(Path(sys.argv[1]).read_bytes())
before = restart_peak().now
outcome = target.outcome(Path(sys.argv[2]).read_bytes())
taken = resident().peak - before
print(json.dumps([outcome[0], target.admission.reserved_bytes, taken]))
"""
    run = subprocess.run(
        [sys.executable, "-c", program, small, large], cwd=ROOT, check=True, capture_output=True, text=True
    )
    outcome, asked, taken = json.loads(run.stdout)
    assert outcome in {"classified", "corrupt", "truncated"}
    assert 100 * 2**20 < taken <= asked
