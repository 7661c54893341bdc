"""The photos that are measured: rendered on the spot, with as much detail as a camera's, kept under ``.cache``.

What a JPEG costs to decode follows its bytes as much as its pixels, so each scene is given texture (many sizes at once,
as leaves and gravel have) until it has the bytes per pixel of a phone's photo at quality 88 and 4:2:0.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tools.sample_photos.meshes import LABELS
from tools.sample_photos.photographs import camera_jpeg
from tools.sample_photos.render import render

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

_SERIES = 5  # no scene of the training or of the samples
_SCENES = (3, 4, 5)  # of that series, the first whose own noise leaves room for texture
_VERSION = 1  # of what is rendered: another number, and everything is rendered anew
_TILE_PX = 1024
_OCTAVES = 6
_ROUGHNESS = 1.2  # of each octave against the next finer one
_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of photo.

    Attributes:
        name: How results call it.
        size: Width and height in pixels.
        bytes_per_px: What the baseline JPEG of the same picture is brought to.
        encode: Picture to file.
        files: How many different ones there are.
    """

    name: str
    size: tuple[int, int]
    bytes_per_px: float
    encode: Callable[[Image.Image], bytes]
    files: int

    @property
    def megapixels(self) -> float:
        """In millions."""
        return self.size[0] * self.size[1] / 1e6


def _saved(name: str, **options: Any) -> Callable[[Image.Image], bytes]:
    def encode(picture: Image.Image) -> bytes:
        file = io.BytesIO()
        picture.save(file, name, **options)
        return file.getvalue()

    return encode


def _heic(picture: Image.Image) -> bytes:
    import pillow_heif

    file = io.BytesIO()
    # The fastest preset saves minutes; decoding follows pixels and bytes.
    pillow_heif.from_pillow(picture).save(file, quality=40, enc_params={"preset": "ultrafast"})
    return file.getvalue()


_12_MP = (4000, 3000)
KINDS = {
    kind.name: kind
    for kind in (
        Kind("12 MP", _12_MP, 0.30, camera_jpeg, 3),
        Kind("2 MP", (1632, 1224), 0.32, camera_jpeg, 3),
        Kind("0.3 MP", (640, 480), 0.36, camera_jpeg, 3),
        Kind(
            "12 MP progressive",
            _12_MP,
            0.30,
            _saved("JPEG", quality=_QUALITY, subsampling="4:2:0", progressive=True),
            2,
        ),
        Kind("12 MP PNG", _12_MP, 0.30, _saved("PNG", compress_level=3), 2),
        Kind("12 MP WebP", _12_MP, 0.30, _saved("WEBP", quality=80, method=2), 2),
        Kind("12 MP HEIC", _12_MP, 0.30, _heic, 2),
    )
}
JPEGS = ("12 MP", "2 MP", "0.3 MP")


def photos(kind: Kind, cache: Path) -> list[bytes]:
    """Return the files of one kind; rendered at their first use, read from ``cache`` after that."""
    place = cache / f"photos-{_VERSION}"
    place.mkdir(parents=True, exist_ok=True)
    contents = []
    for number in range(kind.files):
        file = place / f"{kind.name.replace(' ', '-')}-{number}"
        if not file.is_file():
            content = kind.encode(_picture(kind, number))
            unfinished = file.with_suffix(".part")
            unfinished.write_bytes(content)
            unfinished.replace(file)
        contents.append(file.read_bytes())
    return contents


def _picture(kind: Kind, number: int) -> Image.Image:
    """A rendered scene with so much texture that its JPEG has the wanted size."""
    width, height = kind.size
    number = _SCENES[number]
    scene = np.asarray(render(LABELS[number], (_SERIES, number), width, height)).astype(np.float32)
    grain = _texture(number, width, height)
    wanted = kind.bytes_per_px * width * height
    # More texture is more bytes: halve the interval that holds the answer, in levels of 0..255.
    low, high = 0.0, 40.0
    picture = Image.fromarray(scene.astype(np.uint8))
    for _ in range(9):
        middle = (low + high) / 2
        picture = Image.fromarray(np.clip(scene + grain * middle, 0, 255).astype(np.uint8))
        if len(camera_jpeg(picture, quality=_QUALITY)) < wanted:
            low = middle
        else:
            high = middle
    return picture


def _texture(number: int, width: int, height: int) -> NDArray[np.float32]:
    """Noise of unit spread, (height, width, 1): each octave is half as fine as the one before and somewhat stronger."""
    rng = np.random.default_rng((_SERIES, number))
    tile = np.zeros((_TILE_PX, _TILE_PX), np.float32)
    for octave in range(_OCTAVES):
        side = _TILE_PX >> octave
        coarse = Image.fromarray(rng.standard_normal((side, side), dtype=np.float32))
        tile += _ROUGHNESS**octave * np.asarray(coarse.resize((_TILE_PX, _TILE_PX), Image.Resampling.BICUBIC))
    tile /= tile.std()
    repeats = (-(-height // _TILE_PX), -(-width // _TILE_PX))
    return np.tile(tile, repeats)[:height, :width, None]
