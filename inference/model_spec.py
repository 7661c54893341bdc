"""What must be known of a model before it may classify: its input, its output and its labels.

Normalisation is written one way everywhere: ``(pixel * scale - mean) / std``, pixels 0..255, and mean and std in the
order of the tensor's own channels (a BGR model has its blue mean first).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.model.sourced_values import Fact
    from inference.predictions import ModelIdentity


class Layout(StrEnum):
    """Order of the tensor's axes."""

    NCHW = "NCHW"
    NHWC = "NHWC"


class ColorOrder(StrEnum):
    """What the channels are, first to last."""

    RGB = "RGB"
    BGR = "BGR"
    GREY = "GREY"


class Resize(StrEnum):
    """How an image of any shape becomes the input size."""

    SQUASH = "squash"
    SHORTEST_SIDE_CROP = "shortest_side_crop"
    LETTERBOX = "letterbox"


class Interpolation(StrEnum):
    """Resampling filters, by Pillow's names; all but ``nearest`` are antialiased when they shrink."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"
    BOX = "box"
    HAMMING = "hamming"


class Order(StrEnum):
    """Whether ``mean`` is taken from scaled pixels or from pixels 0..255 before ``scale``."""

    SCALE_FIRST = "scale_first"
    MEAN_FIRST = "mean_first"


class Activation(StrEnum):
    """What still has to be applied to the output to make it probabilities."""

    SOFTMAX = "softmax"  # the output is logits, one class is true
    SIGMOID = "sigmoid"  # the output is logits, each class is true or not
    EXP = "exp"  # the output is log-probabilities
    NONE = "none"  # the output is probabilities already


class Background(StrEnum):
    """Where the class sits that has no line in the label file, as in TensorFlow's 1001 against 1000."""

    NONE = "none"
    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How an image becomes the model's input.

    Attributes:
        name: The graph's name for its input.
        dtype: numpy name: ``float32``, ``float16``, ``float64`` or ``uint8``.
        layout: Order of the axes.
        color_order: What the channels are; ``GREY`` means one channel.
        height: Pixels.
        width: Pixels.
        resize: How the image reaches that size.
        resized_height: Size of the shorter side (``shortest_side_crop``) or of the squashed height (``squash``), in
            pixels, before the centre crop to ``height``; at least ``height``.
        resized_width: The same for the width.
        interpolation: The filter.
        scale: Factor on pixels 0..255.
        mean: One per channel, after ``scale``.
        std: One per channel, never 0.
        pad_color: Red, green, blue 0..255 around a letterboxed image.
        batch: What the graph wants on its first axis: a number, ``None`` for any, 0 when it has no such axis.
    """

    name: str
    dtype: str
    layout: Layout
    color_order: ColorOrder
    height: int
    width: int
    resize: Resize
    resized_height: int
    resized_width: int
    interpolation: Interpolation
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pad_color: tuple[int, int, int]
    batch: int | None

    @property
    def channels(self) -> int:
        """How many channels the tensor has."""
        return 1 if self.color_order is ColorOrder.GREY else 3


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """How the model's output becomes scores.

    Attributes:
        name: The graph's name for the output that holds the scores.
        activation: What still has to be applied.
        background: Where a class without a label sits.
    """

    name: str
    activation: Activation
    background: Background


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything that decides an answer.

    Attributes:
        identity: Name and version.
        graph: The ONNX file.
        labels: In the order of the label file.
        input: How an image becomes the model's input.
        output: How the model's output becomes scores.
        facts: Every fact by its key, with its source, for a person to read.
    """

    identity: ModelIdentity
    graph: Path
    labels: tuple[str, ...]
    input: InputSpec
    output: OutputSpec
    facts: Mapping[str, Fact]
