"""The model's input for one image, made exactly as the app makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.decoding.decode import decode, read_header
from inference.limits import Limits
from inference.preprocess import needed_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from inference.model.loaded import LoadedModel
    from inference.predictions import ImageInfo


def tensor_of(model: LoadedModel, content: bytes) -> tuple[ImageInfo, NDArray[np.generic]]:
    """Return what the image is, and the model's input for it; see ``LoadedModel.tensor``.

    Raises:
        PermanentError: The image can never be classified.
    """
    spec = model.spec.input

    def needed(width: int, height: int) -> tuple[int, int]:
        return needed_size(spec, width, height)

    header = read_header(content, Limits())
    decoded = decode(content, header, needed=needed, mode="L" if model.is_grey else "RGB")
    return header.info, model.tensor(decoded)
