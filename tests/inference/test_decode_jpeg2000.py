"""JPEG 2000 with chroma at reduced resolution, which Pillow reads and does not write."""

from __future__ import annotations

import base64
import struct

import numpy as np
import pytest

from inference.decode import decode, read_header
from inference.errors import PermanentError, Reason
from inference.jpeg2000 import read_codestream, refuse_sheared_chroma
from inference.limits import Limits
from tests.inference.image_samples import scene

WIDTH, HEIGHT = 32, 24
LOSS = 4  # on average: half the chroma is gone

# scene(32, 24), written by libvips: one sample of Cb and Cr for two pixels, in both directions.
SUBSAMPLED = base64.b64decode(
    "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAAGAAAACAAAwcHAAAAAAAPY29scgEAAAAAABIAAAJl"
    "anAyY/9P/1EALwAAAAAAIAAAABgAAAAAAAAAAAAAAgAAAAIAAAAAAAAAAAAAAwcBAQcCAgcCAv9SAA0BAgABAAAEBAAAiP9cAAVCQAD/ZAAl"
    "AAFDcmVhdGVkIGJ5IE9wZW5KUEVHIHZlcnNpb24gMi41LjD/kAAKAAAAAAHrAAH/k8+joGCFDp8GCC0SVFowvI7Wc/FoRqrnEm4WZe2s51Mr"
    "gIoGA1LN5CME1UG1/ePbyDi9+hClri3KGXhN2gPAywtl+l2CdXul6LakdK1lcc2MXOV0V+iHA5MzlLss6Mm2ovvCoVHqqRsj2rDT+PgvpSpx"
    "a3V4S4jUK3vfXH9VIPRvyjMuN0coqaucFsE5XI/1E0MMY3rfVsz2fH91useqew4oio96k2zMHMJbQIVjdO62kZ4ImVxtNpigU8TEUqMLc7gM"
    "V7XBdE6stMxES/c/vys4TE2Aps4OjhPz6fHQqJYGRVBkgpmWbXFZntSjjLYplRkBkBkb0g0eDg+sgW0+WvFFNV16cPnAz6K6IbV93cNE8yEb"
    "6LpbxsNpb3lmMijUzjREETSuIYH/eG2TvDJ4C1ZwxLgVZoWStBnmlLsSuW8/8fuNomp+FWyX0T6kmycaqE17SIjKqP97QL+r1Lw4Ftj8w1BC"
    "92E7z6bmEU8DykjCe7CtdWGwkkGet4/TBuTpDlREktXo8aUj1uKDMihEbrr7qk04zvABhL/SG4onyKdnGPFnKtXzlDEv4P4C7v4QNVI/Q7ts"
    "1Sny0KGGZGuWFvf8lCTQRBByVy4bq+Vl/Zkp+LM877l9bdDHalN20v/Z"
)
SIZES_AT = SUBSAMPLED.index(b"\xff\x4f\xff\x51") + 8


def laid_out(right: int, tile_width: int, *, left: int = 0, tile_left: int = 0) -> bytes:
    """Let the codestream say that it is so wide; its samples stay what they are."""
    sizes = struct.pack(">8I", right, HEIGHT, left, 0, tile_width, 512, tile_left, 0)
    return SUBSAMPLED[:SIZES_AT] + sizes + SUBSAMPLED[SIZES_AT + len(sizes) :]


def test_subsampled_chroma_comes_out_where_it_belongs() -> None:
    decoded = decode(SUBSAMPLED, read_header(SUBSAMPLED, Limits()), needed=lambda width, height: (width, height))
    assert decoded.image.size == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(decoded.image).astype(int) - scene(WIDTH, HEIGHT)).mean() <= LOSS


def test_what_its_decoder_would_shear_is_refused_from_its_header() -> None:
    content = laid_out(WIDTH + 1, 512)
    box = content.index(b"ihdr") + 4
    content = content[:box] + struct.pack(">II", HEIGHT, WIDTH + 1) + content[box + 8 :]
    with pytest.raises(PermanentError, match="33 columns with one sample of colour for each 2") as caught:
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
def test_any_edge_between_two_samples_is_refused(content: bytes) -> None:
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
def test_whole_samples_pass(content: bytes) -> None:
    refuse_sheared_chroma(read_codestream(content))
