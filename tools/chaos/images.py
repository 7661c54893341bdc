"""Small images for the chaos run, drawn at random by a seed; some are broken, as uploads are."""

from __future__ import annotations

import io
import random

from PIL import Image, ImageDraw

MAX_BYTES = 64 * 1024
"""What the run sets as ``MAX_IMAGE_BYTES``, low enough that some of these files are too large."""

_MIDDLING, _CUT, _EMPTY, _TEXT, _LARGE = 0.90, 0.93, 0.95, 0.98, 1.0


def picture(seed: str) -> bytes:
    """Draw one: of a hundred files three are cut short, two empty, three no image, two too large."""
    choice = random.Random(seed)
    luck = choice.random()
    if luck < _MIDDLING:
        return _drawn(choice)
    if luck < _CUT:
        whole = _drawn(choice)
        return whole[: len(whole) * 2 // 3]
    if luck < _EMPTY:
        return b""
    if luck < _TEXT:
        return f"Buy {choice.randrange(1000)} batteries for camera 2.\n".encode()
    return _drawn(choice) + choice.randbytes(MAX_BYTES)


def _drawn(choice: random.Random) -> bytes:
    size = choice.randint(64, 200), choice.randint(64, 200)
    image = Image.new("RGB", size, _colour(choice))
    pen = ImageDraw.Draw(image)
    for _ in range(choice.randint(1, 6)):
        xs = sorted(choice.randint(0, size[0]) for _ in range(2))
        ys = sorted(choice.randint(0, size[1]) for _ in range(2))
        draw = choice.choice((pen.ellipse, pen.rectangle, pen.line))
        draw((xs[0], ys[0], xs[1], ys[1]), fill=_colour(choice))
    file = io.BytesIO()
    if choice.random() < 0.7:
        image.save(file, "JPEG", quality=choice.randint(60, 95))
    else:
        image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _colour(choice: random.Random) -> tuple[int, int, int]:
    return choice.randrange(256), choice.randrange(256), choice.randrange(256)
