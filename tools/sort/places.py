"""Where a copy lies: the folder of its label, then the image's own name.

Labels are untrusted, so a folder's name is made as for a folder on disk: ``../x`` becomes ``..%2Fx``. Different images
have different names, so two images never share a place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.keys import MAX_BLOB_NAME
from tools.query.file_names import flat_name, safe_part

if TYPE_CHECKING:
    from storage.results.record import Image

_DOTS = {".", ".."}


def folder_of(label: str) -> str:
    """The name of a label's folder, without slashes."""
    return safe_part(label)


def place_of(image: Image, label: str) -> str | None:
    """The blob name of an image's copy; ``None`` where no URL can name the image.

    A name that is too long together with its folder is cut and ends in a hash. Clients remove the parts ``.`` and
    ``..`` from a URL, so a copy of such a name could leave its folder, and its container.
    """
    if _DOTS & set(image.blob_name.split("/")):
        return None
    place = f"{folder_of(label)}/{image.blob_name}"
    if len(place.encode("utf-16-le")) // 2 > MAX_BLOB_NAME:
        return f"{folder_of(label)}/{flat_name(image.blob_name)}"
    return place
