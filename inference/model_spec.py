"""Everything that decides a model's answer: its input, its output and its labels.

Normalization has one formula everywhere: ``(pixel * scale - mean) / std``, with pixels from 0 to 255. ``mean`` and
``std`` are in the order of the tensor's channels: a BGR model has its blue mean first.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.predictions import ModelIdentity


class Layout(StrEnum):
    """Order of the input tensor's axes."""

    NCHW = "NCHW"
    NHWC = "NHWC"


class ColorOrder(StrEnum):
    """The channels of the input tensor, first to last."""

    RGB = "RGB"
    BGR = "BGR"
    GREY = "GREY"


class ResizeMode(StrEnum):
    """How an image of any shape becomes the input size."""

    SQUASH = "squash"  # stretch the whole image
    SHORTEST_SIDE_CROP = "shortest_side_crop"  # resize the shortest side, then crop the centre
    LETTERBOX = "letterbox"  # keep the aspect ratio and pad


class Interpolation(StrEnum):
    """Resampling filters, by Pillow's names. All but ``nearest`` are antialiased when they shrink, by default."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"
    BOX = "box"
    HAMMING = "hamming"


class CropRounding(StrEnum):
    """The offset of a centre crop when half a pixel is left over."""

    FLOOR = "floor"  # Hugging Face
    HALF_EVEN = "half_even"  # torchvision, timm, Ultralytics: Python's ``round``


class Align(StrEnum):
    """The place of the image in a letterbox; the padding is on the other sides."""

    CENTER = "center"
    TOP_LEFT = "top_left"  # an image that is too narrow is padded on the right, one that is too low at the bottom


class ResizeRounding(StrEnum):
    """The side that follows from the ratio of the sides, when its length is no whole number."""

    FLOOR = "floor"  # torchvision, timm, Hugging Face, MMPretrain; Roboflow's letterbox
    NEAREST = "nearest"  # Lobe, Paddle: Python's ``round``


class NormalizationOrder(StrEnum):
    """Whether ``mean`` is subtracted from scaled pixels, or from pixels 0 to 255 before ``scale``."""

    SCALE_FIRST = "scale_first"
    MEAN_FIRST = "mean_first"


class Activation(StrEnum):
    """The function that turns the output into probabilities."""

    SOFTMAX = "softmax"  # the output is logits, one class is true
    SIGMOID = "sigmoid"  # the output is logits, each class is true or not
    EXP = "exp"  # the output is log-probabilities
    NONE = "none"  # the output is probabilities already


class BackgroundClass(StrEnum):
    """Position of the class that has no line in the label file, as in TensorFlow's 1001 classes for 1000 labels."""

    NONE = "none"
    FIRST = "first"
    LAST = "last"


class Quantization(NamedTuple):
    """How integers stand for real numbers, as in TFLite: ``real = scale * (integer - zero_point)``.

    Attributes:
        scale: Above 0.
        zero_point: The integer that stands for 0.
    """

    scale: float
    zero_point: int


class SourcedValue(NamedTuple):
    """One value of a model's configuration, with its origin.

    Attributes:
        value: In the vocabulary of ``model.json``.
        source: The file and key that state it, such as ``preprocessor_config.json: image_mean``.
    """

    value: Any
    source: str


class InputSpec(NamedTuple):
    """How an image becomes the model's input.

    Attributes:
        name: The name of the graph's input.
        dtype: numpy name: ``float32``, ``float16``, ``float64``, ``uint8`` or ``int8``.
        layout: Order of the axes.
        color_order: The channels; ``GREY`` means one channel.
        height: Pixels.
        width: Pixels.
        resize: How the image reaches that size.
        resized_height: Size of the shorter side (``shortest_side_crop``) or of the squashed height (``squash``), in
            pixels, before the centre crop to ``height``. Below ``height`` the crop is padded with black.
        resized_width: The same for the width.
        interpolation: The resampling filter.
        scale: Factor on pixels 0 to 255, above 0.
        mean: One number per channel, subtracted after ``scale``.
        std: One number per channel, never 0.
        pad_color: Red, green and blue, each 0 to 255, around a letterboxed image.
        batch: Size of the graph's first axis: a number, ``None`` for any size, 0 when the input has no batch axis.
        crop_rounding: The offset of the centre crop; ``FLOOR`` where nothing is cropped.
        resize_rounding: The longer side of ``shortest_side_crop`` and the shorter one of ``letterbox``; ``None`` is
            ``FLOOR`` for the first and ``NEAREST`` for the second.
        antialias: Whether ``bilinear`` averages all pixels that it covers when it shrinks an image; ``cv2.resize`` and
            ``tf.image.resize`` do not.
        align: The place of a letterboxed image.
        quantization: The real numbers that the integers of a ``uint8`` or ``int8`` input stand for; ``None`` where
            normalized values are the tensor's values.
    """

    name: str
    dtype: str
    layout: Layout
    color_order: ColorOrder
    height: int
    width: int
    resize: ResizeMode
    resized_height: int
    resized_width: int
    interpolation: Interpolation
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pad_color: tuple[int, int, int]
    batch: int | None
    crop_rounding: CropRounding = CropRounding.FLOOR
    resize_rounding: ResizeRounding | None = None
    antialias: bool = True
    align: Align = Align.CENTER
    quantization: Quantization | None = None

    @property
    def channels(self) -> int:
        """The number of channels of the tensor: 1 or 3."""
        return 1 if self.color_order is ColorOrder.GREY else 3

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The tensor's shape without the batch axis: (C, H, W) or (H, W, C)."""
        if self.layout is Layout.NHWC:
            return self.height, self.width, self.channels
        return self.channels, self.height, self.width


class OutputSpec(NamedTuple):
    """How the model's output becomes scores.

    Attributes:
        name: The name of the graph's output that holds the scores.
        activation: The function to apply to it.
        background: Position of the class without a label.
        positive: Where the output is one number for two labels, the index of the label that it belongs to.
        quantization: The real numbers that the integers of a ``uint8`` or ``int8`` output stand for.
    """

    name: str
    activation: Activation
    background: BackgroundClass
    positive: int | None = None
    quantization: Quantization | None = None


class ModelSpec(NamedTuple):
    """Everything that decides an answer.

    Attributes:
        identity: Name and version.
        graph: The ONNX file.
        labels: In the order of the label file.
        input: How an image becomes the model's input.
        output: How the model's output becomes scores.
        values: Every configured value by its key in ``model.json``, with its source. For display only.
        one_is_true: Whether one label of a photo is true (softmax), so that scores may be added. Otherwise each label
            is true or not (sigmoid).
    """

    identity: ModelIdentity
    graph: Path
    labels: tuple[str, ...]
    input: InputSpec
    output: OutputSpec
    values: Mapping[str, SourcedValue]
    one_is_true: bool = True
