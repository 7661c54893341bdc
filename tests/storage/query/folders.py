"""Names that several query tests share."""

from __future__ import annotations

from hypothesis import strategies as st

# Letters around every border: escaped ones, their neighbours in the order, and those that UTF-16 sorts differently.
LETTERS = "/aZ09 -.#%=|'\\~}\u00e9\u0301\ud7ff\ue000\uffee\U0001f431"
NAMES = st.text(st.sampled_from(LETTERS), min_size=1, max_size=12).filter(lambda name: not name.startswith("/"))


def folders(images: int, per_folder: int) -> list[str]:
    """The names of so many images, in folders of the same size."""
    return [f"site-{i // per_folder:05d}/IMG_{i % per_folder:06d}.JPG" for i in range(images)]
