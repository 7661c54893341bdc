"""Pictures for the tests under the trigger extensions."""

from __future__ import annotations

import io

from PIL import Image as Picture


def photo(colour: str = "red", size: tuple[int, int] = (160, 120)) -> bytes:
    """Return a JPEG of one colour."""
    file = io.BytesIO()
    Picture.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()
