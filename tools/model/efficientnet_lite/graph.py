"""Builds the ONNX graph of EfficientNet-Lite0 from its weights, by the names of the PyTorch package that trained them.

Architecture: ``efficientnet_lite_builder.py`` of Google's ``tensorflow/tpu``, with the padding of TensorFlow's SAME at
224 x 224: where the stride is 2 the bottom and the right get the odd row and column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import onnx
from onnx import TensorProto, helper, numpy_helper

from inference.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

SIDE = 224
CLASSES = 1000
INPUT, OUTPUT = "pixels", "logits"

_EPSILON = 1e-3  # of the batch normalisations
_OPSET, _IR_VERSION = 13, 8


class _Stage(NamedTuple):
    """Blocks of one kind: the first has this stride, the others 1."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_STEM_CHANNELS, _HEAD_CHANNELS = 32, 1280


def build(weights: Mapping[str, NDArray[np.generic]]) -> onnx.ModelProto:
    """Return the graph: ``pixels`` float32 ``[N, 3, 224, 224]``, RGB, ``(x - 127) / 128``; ``logits`` ``[N, 1000]``.

    Raises:
        ModelError: A weight is missing or has another shape.
    """
    network = _Network(weights)
    x = network.convolution(INPUT, ("_conv_stem", "_bn0"), (_STEM_CHANNELS, 3, 3, 3), stride=2)
    x = network.relu6(x)
    channels, number = _STEM_CHANNELS, 0
    for stage in _STAGES:
        for first in [True] + [False] * (stage.blocks - 1):
            x = network.block(x, f"_blocks.{number}", channels, stage, stage.stride if first else 1)
            channels, number = stage.channels, number + 1
    x = network.relu6(network.convolution(x, ("_conv_head", "_bn1"), (_HEAD_CHANNELS, channels, 1, 1)))
    x = network.node("GlobalAveragePool", x)
    x = network.node("Flatten", x, axis=1)
    fully = network.weight("_fc.weight", (CLASSES, _HEAD_CHANNELS)), network.weight("_fc.bias", (CLASSES,))
    network.nodes.append(helper.make_node("Gemm", [x, *fully], [OUTPUT], transB=1))
    graph = helper.make_graph(
        network.nodes,
        "efficientnet-lite0",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", CLASSES])],
        network.initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


class _Network:
    """A graph that grows node by node. Each method returns the name of its result."""

    def __init__(self, weights: Mapping[str, NDArray[np.generic]]) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        result = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [result], **attributes))
        return result

    def weight(self, name: str, shape: tuple[int, ...]) -> str:
        found = self._weights.get(name)
        if found is None or found.shape != shape or found.dtype != "float32":
            actual = "missing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise ModelError(f"The weight {name} must be float32 {list(shape)}, but is {actual}.")
        self.initializers.append(numpy_helper.from_array(found, name))
        return name

    def convolution(
        self, x: str, names: tuple[str, str], shape: tuple[int, int, int, int], *, stride: int = 1, groups: int = 1
    ) -> str:
        """Convolution with TensorFlow's SAME padding of an even side, then batch normalisation: ``names`` of both."""
        name, norm = names
        kernel = shape[-1]
        total = kernel - stride if stride > 1 else kernel - 1
        before, after = total // 2, total - total // 2
        x = self.node(
            "Conv",
            x,
            self.weight(f"{name}.weight", shape),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=groups,
        )
        parts = [self.weight(f"{norm}.{part}", shape[:1]) for part in ("weight", "bias", "running_mean", "running_var")]
        return self.node("BatchNormalization", x, *parts, epsilon=_EPSILON)

    def relu6(self, x: str) -> str:
        if not any(tensor.name == "six" for tensor in self.initializers):
            self.initializers.append(helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]))
            self.initializers.append(helper.make_tensor("six", TensorProto.FLOAT, [], [6.0]))
        return self.node("Clip", x, "zero", "six")

    def block(self, x: str, name: str, channels: int, stage: _Stage, stride: int) -> str:
        """Inverted bottleneck: expand, convolve each channel alone, project; add the input where shapes agree."""
        wide, narrow, kernel = channels * stage.expansion, stage.channels, stage.kernel
        start = x
        if stage.expansion > 1:
            x = self.relu6(self.convolution(x, (f"{name}._expand_conv", f"{name}._bn0"), (wide, channels, 1, 1)))
        deep = (wide, 1, kernel, kernel)
        x = self.relu6(
            self.convolution(x, (f"{name}._depthwise_conv", f"{name}._bn1"), deep, stride=stride, groups=wide)
        )
        x = self.convolution(x, (f"{name}._project_conv", f"{name}._bn2"), (narrow, wide, 1, 1))
        return self.node("Add", x, start) if stride == 1 and channels == narrow else x
