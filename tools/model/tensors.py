"""The model's input for one image, made exactly as the app makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.decoding.decode import decode
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
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
    header = read_header(content, Limits())
    plan = plan_decode(header, needed_size(spec, header.info.width, header.info.height))
    decoded = decode(content, plan, mode="L" if model.is_grey else "RGB")
    return header.info, model.tensor(decoded)
