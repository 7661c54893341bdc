"""Loads model folders in tests: the resolved input, the tensor of an image, and the message of a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inference import classifier
from inference.decoding.decode import DecodedImage
from inference.errors import ModelError
from inference.predictions import ImageInfo
from inference.preprocess import preprocess
from tests.inference.model.model_folders import BLUE, GREEN, MODEL_JSON, RED, png

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from PIL import Image

    from inference.model_spec import InputSpec

NAMES = ["red", "green", "blue"]
LINES = "red\ngreen\nblue\n"
"""The labels of the graphs of ``model_folders``, as a list and as a file."""


def spec_of(path: Path) -> InputSpec:
    """Load a folder and return its input."""
    return classifier.load(path).spec.input


def tensor(path: Path, image: Image.Image) -> np.ndarray[Any, Any]:
    """Load a folder and return its input for an image, without the batch axis."""
    return preprocess_alone(spec_of(path), image)


def preprocess_alone(spec: InputSpec, image: Image.Image) -> np.ndarray[Any, Any]:
    """Return the tensor of a decoded image, without the batch axis."""
    batch: np.ndarray[Any, Any] = preprocess(spec, DecodedImage(image, ImageInfo(image.width, image.height, "png")))
    first: np.ndarray[Any, Any] = batch[0]
    return first


def assert_distinguishes_colours(path: Path) -> None:
    """Load a folder and classify a red, a green and a blue image: only the right preprocessing names all three."""
    model = classifier.load(path)
    for name, color in zip(NAMES, (RED, GREEN, BLUE), strict=True):
        assert model.classify(png(color)).label == name


def refusal(path: Path) -> str:
    """Load a folder that must be refused, and return the message: one sentence that names the folder."""
    with pytest.raises(ModelError) as refused:
        classifier.load(path)
    message = str(refused.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def with_input(**changes: Any) -> dict[str, Any]:
    """Return ``MODEL_JSON`` with other values of ``input``."""
    return MODEL_JSON | {"input": MODEL_JSON["input"] | changes}
