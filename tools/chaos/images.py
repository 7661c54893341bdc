"""Generates small image files from a seed; some are broken, as some uploads are."""

from __future__ import annotations

import io
import random

from PIL import Image, ImageDraw

MAX_BYTES = 64 * 1024
"""The run's ``MAX_IMAGE_BYTES``, low enough that some of the files are too large."""

_TIME = "2026-05-01T12:00:00+00:00"
_SIDECAR = f"""{{
  "schema_version": 2, "container": "incoming", "blob_name": "a.jpg", "status": "classified", "label": "cube",
  "label_index": 0, "score": SCORE, "classified_at": "{_TIME}", "model": "m", "model_version": "1", "etag": "0x1",
  "blob_last_modified": "{_TIME}",
  "content_length": 1, "queue_delay_ms": 1, "duration_ms": 1, "sidecar": "results/a.jpg.json", "predictions": []
}}"""

# Upper bounds of a random number in [0, 1) for whole, truncated, empty and text files; the other files are too large.
_WHOLE, _TRUNCATED, _EMPTY, _TEXT = 0.90, 0.93, 0.95, 0.98


def image_file(seed: str) -> bytes:
    """Generate a file: 90 % are images, 3 % truncated, 2 % empty, 3 % no image, 2 % too large."""
    rng = random.Random(seed)
    chance = rng.random()
    if chance < _WHOLE:
        return _image(rng)
    if chance < _TRUNCATED:
        whole = _image(rng)
        return whole[: len(whole) * 2 // 3]
    if chance < _EMPTY:
        return b""
    if chance < _TEXT:
        return f"Buy {rng.randrange(1000)} batteries for camera 2.\n".encode()
    return _image(rng) + rng.randbytes(MAX_BYTES)


def hostile_document(seed: str) -> bytes:
    """Generate JSON that is no image: a score that parsers dislike, in the shape of a sidecar."""
    score = random.Random(seed).choice(("1" + "0" * 400, "[" * 50_000, "NaN", '"high"'))
    return _SIDECAR.replace("SCORE", score).encode()


def _image(rng: random.Random) -> bytes:
    size = rng.randint(64, 200), rng.randint(64, 200)
    image = Image.new("RGB", size, _colour(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.randint(1, 6)):
        xs = sorted(rng.randint(0, size[0]) for _ in range(2))
        ys = sorted(rng.randint(0, size[1]) for _ in range(2))
        draw_shape = rng.choice((draw.ellipse, draw.rectangle, draw.line))
        draw_shape((xs[0], ys[0], xs[1], ys[1]), fill=_colour(rng))
    file = io.BytesIO()
    if rng.random() < 0.7:
        image.save(file, "JPEG", quality=rng.randint(60, 95))
    else:
        image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _colour(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)
