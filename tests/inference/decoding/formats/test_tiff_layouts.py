"""Every layout of a TIFF gives the pixels that were written, or is refused by name.

tifffile and imagecodecs write the files; they share no code with Pillow or its libtiff.
"""

from __future__ import annotations

import itertools
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from inference.errors import PermanentError, Reason
from tests.inference.decoding.image_samples import decode_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

WIDTH, HEIGHT = 45, 37
CODECS = (None, "lzw", "adobe_deflate", "packbits", "zstd", "lzma")
WITH_PREDICTOR = frozenset({"lzw", "adobe_deflate"})
PARTS: dict[str, dict[str, Any]] = {
    "one strip": {"rowsperstrip": HEIGHT},
    "strips": {"rowsperstrip": 8},
    "tiles": {"tile": (16, 32)},
}
# kind -> samples of a pixel, and the tags of the kind
KINDS: dict[str, tuple[int, dict[str, Any]]] = {
    "grey": (1, {"photometric": "minisblack"}),
    "negative": (1, {"photometric": "miniswhite"}),
    "grey and alpha": (2, {"photometric": "minisblack", "extrasamples": ["unassalpha"]}),
    "RGB": (3, {"photometric": "rgb"}),
    "RGB and alpha": (4, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "RGB and more": (4, {"photometric": "rgb", "extrasamples": ["unspecified"]}),
    "CMYK": (4, {"photometric": "separated"}),
}
# depth -> type and largest value of a sample
DEPTHS: dict[str, tuple[Any, int]] = {
    "1-bit": (np.uint8, 1),
    "2-bit": (np.uint8, 3),
    "4-bit": (np.uint8, 15),
    "8-bit": (np.uint8, 255),
    "16-bit": (np.uint16, 65535),
    "signed 16-bit": (np.int16, 32767),
    "32-bit": (np.uint32, 2**32 - 1),
}
DECODED = {("grey", "16-bit"), ("RGB", "16-bit"), ("CMYK", "16-bit"), *((kind, "8-bit") for kind in KINDS)}


def ramps(samples: int) -> NDArray[np.float64]:
    """Shape (37, 45, samples), in 0..255."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([(across * 3 * (n + 2) + down * (5 - n)) % 256 for n in range(samples)], axis=-1).astype(np.float64)


def as_rgb(kind: str, samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert samples in 0..255 to the RGB that the product shows, on white."""
    grey = samples[..., :1].repeat(3, axis=-1)
    opacity = samples[..., -1:] / 255
    match kind:
        case "negative":
            return 255 - grey
        case "grey and alpha":
            return grey * opacity + 255 * (1 - opacity)
        case "RGB and alpha":
            return samples[..., :3] * opacity + 255 * (1 - opacity)
        case "CMYK":
            return (255 - samples[..., :3]) * (255 - samples[..., 3:]) / 255
    return samples[..., :3] if samples.shape[-1] >= 3 else grey


def written(kind: str, depth: str) -> Iterator[tuple[str, bytes, NDArray[np.float64]]]:
    """Yield the name of each layout, the file, and the RGB it shows."""
    count, about = KINDS[kind]
    dtype, white = DEPTHS[depth]
    samples = np.round(ramps(count) / 255 * white).astype(dtype)
    shown = as_rgb(kind, samples / white * 255)
    codecs = CODECS if white >= 255 else (None,)
    for planar, order, codec, parts in itertools.product(("contig", "separate"), "<>", codecs, PARTS):
        if planar == "separate" and count == 1:
            continue
        for predictor, is_big in itertools.product((False, True), (False, True)):
            if predictor and codec not in WITH_PREDICTOR:
                continue
            pixels = samples[..., 0] if count == 1 else samples
            options = {**about, **PARTS[parts], "compression": codec, "predictor": predictor}
            if count > 1:
                options["planarconfig"] = planar
                pixels = np.moveaxis(pixels, -1, 0) if planar == "separate" else pixels
            if white < 255:
                options["bitspersample"] = white.bit_length()
            stream = BytesIO()
            with tifffile.TiffWriter(stream, byteorder=order, bigtiff=is_big) as file:
                file.write(np.ascontiguousarray(pixels), metadata=None, **options)
            yield f"{planar} {order} {codec} {parts} {is_big} {predictor}", stream.getvalue(), shown


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_layout_is_decoded_right_or_refused_by_name(kind: str, depth: str) -> None:
    decoded = 0
    refused: list[tuple[str, PermanentError]] = []
    for layout, content, shown in written(kind, depth):
        try:
            pixels = np.asarray(decode_image(content, (400, 400)).image)
        except PermanentError as error:
            refused.append((layout, error))
            continue
        assert np.abs(pixels - shown).max() <= 2, layout
        decoded += 1
    for layout, refusal in refused:
        assert refusal.reason is Reason.UNSUPPORTED_FORMAT, (layout, refusal.detail)
        assert "TIFF" in refusal.detail
    assert decoded or (kind, depth) not in DECODED
