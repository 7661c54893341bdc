"""The photos that are measured: rendered at their first use and kept in ``.cache``.

The time to decode a JPEG depends on its bytes as much as on its pixels. Each scene therefore gets texture of several
scales at once, as leaves and gravel have, until it has the bytes per pixel of a phone's photo at quality 88 and 4:2:0.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image

from tools.sample_photos.photographs import camera_jpeg
from tools.sample_photos.render import render
from tools.sample_photos.shapes import LABELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

_SERIES = 5  # of scenes: neither training nor samples use it
_SCENES = (3, 4, 5)  # the first scenes of that series whose own noise leaves room for texture
_VERSION = 1  # names the cache folder; increase it when the rendering changes
_TILE_PX = 1024
_OCTAVES = 6
_ROUGHNESS = 1.2  # amplitude of an octave, relative to the next finer one
_JPEG: dict[str, Any] = {"quality": 88, "subsampling": "4:2:0"}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of photo.

    Attributes:
        name: Its name in results.
        size: Width and height in pixels.
        bytes_per_px: Of the baseline JPEG of the same picture.
        encode: Picture to file.
        files: How many different files there are.
    """

    name: str
    size: tuple[int, int]
    bytes_per_px: float
    encode: Callable[[Image.Image], bytes]
    files: int

    @property
    def megapixels(self) -> float:
        """Width times height, in millions."""
        return self.size[0] * self.size[1] / 1e6


def _saved(name: str, **options: Any) -> Callable[[Image.Image], bytes]:
    def encode(picture: Image.Image) -> bytes:
        if name == "HEIF":
            import pillow_heif

            pillow_heif.register_heif_opener()
        file = io.BytesIO()
        picture.save(file, name, **options)
        return file.getvalue()

    return encode


_12_MP = (4000, 3000)
KINDS = {
    kind.name: kind
    for kind in (
        Kind("12 MP", _12_MP, 0.30, camera_jpeg, 3),
        Kind("2 MP", (1632, 1224), 0.32, camera_jpeg, 3),
        Kind("0.3 MP", (640, 480), 0.36, camera_jpeg, 3),
        Kind("12 MP progressive", _12_MP, 0.30, _saved("JPEG", **_JPEG, progressive=True), 2),
        Kind("12 MP PNG", _12_MP, 0.30, _saved("PNG", compress_level=3), 2),
        Kind("12 MP WebP", _12_MP, 0.30, _saved("WEBP", quality=80, method=2), 2),
        # The fastest preset saves minutes; the time to decode depends on pixels and bytes only.
        Kind("12 MP HEIC", _12_MP, 0.30, _saved("HEIF", quality=40, enc_params={"preset": "ultrafast"}), 2),
    )
}
JPEGS = ("12 MP", "2 MP", "0.3 MP")


def photos(kind: Kind, cache: Path) -> list[bytes]:
    """Return the files of one kind; the first call renders them, later ones read them from ``cache``."""
    return [photo_file(kind, number, cache).read_bytes() for number in range(kind.files)]


def photo_file(kind: Kind, number: int, cache: Path) -> Path:
    """Return the path of one photo in ``cache``; the first call renders it."""
    file = cache / f"photos-{_VERSION}" / f"{kind.name.replace(' ', '-')}-{number}"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".part")
        unfinished.write_bytes(kind.encode(_picture(kind, number)))
        unfinished.replace(file)
    return file


def camera_exif() -> bytes:
    """Return an EXIF block with every capture fact, GPS and a maker note of 4 KiB, as a camera writes it."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "RECONYX", "HYPERFIRE 2 COVERT"
    exif[ExifTags.Base.DateTime] = "2026:05:14 06:31:07"
    shot = exif.get_ifd(ExifTags.IFD.Exif)
    shot[ExifTags.Base.DateTimeOriginal] = shot[ExifTags.Base.DateTimeDigitized] = "2026:05:14 06:31:07"
    shot[ExifTags.Base.SubsecTimeOriginal], shot[ExifTags.Base.OffsetTimeOriginal] = "250", "+02:00"
    shot[ExifTags.Base.BodySerialNumber], shot[ExifTags.Base.MakerNote] = "H2UF10134502", bytes(4096)
    shot[ExifTags.Base.ExposureTime], shot[ExifTags.Base.ISOSpeedRatings] = 1 / 60, 800
    position = exif.get_ifd(ExifTags.IFD.GPSInfo)
    position[ExifTags.GPS.GPSLatitudeRef], position[ExifTags.GPS.GPSLatitude] = "N", (52.0, 5.0, 24.6)
    position[ExifTags.GPS.GPSLongitudeRef], position[ExifTags.GPS.GPSLongitude] = "E", (5.0, 7.0, 12.3)
    return exif.tobytes()


def _picture(kind: Kind, number: int) -> Image.Image:
    """Render a scene, with enough texture for its JPEG to have the intended size."""
    width, height = kind.size
    number = _SCENES[number]
    scene = np.asarray(render(LABELS[number], (_SERIES, number), width, height)).astype(np.float32)
    grain = _texture(number, width, height)
    target_bytes = kind.bytes_per_px * width * height
    # More texture means more bytes: bisect its strength, in levels of 0..255.
    low, high = 0.0, 40.0
    picture = Image.fromarray(scene.astype(np.uint8))
    for _ in range(9):
        middle = (low + high) / 2
        picture = Image.fromarray(np.clip(scene + grain * middle, 0, 255).astype(np.uint8))
        if len(camera_jpeg(picture, quality=_JPEG["quality"])) < target_bytes:
            low = middle
        else:
            high = middle
    return picture


def _texture(number: int, width: int, height: int) -> NDArray[np.float32]:
    """Return noise of unit spread, (height, width, 1); each octave is half as fine as the one before and stronger."""
    rng = np.random.default_rng((_SERIES, number))
    tile = np.zeros((_TILE_PX, _TILE_PX), np.float32)
    for octave in range(_OCTAVES):
        side = _TILE_PX >> octave
        coarse = Image.fromarray(rng.standard_normal((side, side), dtype=np.float32))
        tile += _ROUGHNESS**octave * np.asarray(coarse.resize((_TILE_PX, _TILE_PX), Image.Resampling.BICUBIC))
    tile /= tile.std()
    repeats = (-(-height // _TILE_PX), -(-width // _TILE_PX))
    return np.tile(tile, repeats)[:height, :width, None]
