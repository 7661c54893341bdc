"""The app's own way from a photo to the model's input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.decoding.decode import decode
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
from inference.limits import Limits
from inference.preprocess import needed_size

if TYPE_CHECKING:
    from inference.model.loaded import LoadedModel


def tensor_of(model: LoadedModel, photo: bytes) -> Any:
    """Return the input of one photo, (1, 3, H, W) float32."""
    spec = model.spec.input
    header = read_header(photo, Limits())
    plan = plan_decode(header, needed_size(spec, header.info.width, header.info.height))
    return model.tensor(decode(photo, plan))
