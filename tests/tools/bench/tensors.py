"""The app's own way from a photo to the model's input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.decoding.decode import decode, read_header
from inference.limits import Limits
from inference.preprocess import needed_size

if TYPE_CHECKING:
    from inference.model.loaded import LoadedModel


def tensor_of(model: LoadedModel, photo: bytes) -> Any:
    """Return the input of one photo, (1, 3, H, W) float32."""
    spec = model.spec.input
    header = read_header(photo, Limits())
    return model.tensor(decode(photo, header, needed=lambda width, height: needed_size(spec, width, height)))
