"""MobileNetV2 and ResNet-18, written once: as an ONNX graph, and as PyTorch runs them eagerly.

The weights are random: what a network costs does not depend on them, as long as no number becomes denormal, which the
usual initialisation (He) sees to. The ONNX form is what an exporter writes for inference: batch normalisation folded
into the convolutions. PyTorch runs it as its users do: normalisation and activation are steps of their own.

Architectures: Sandler et al. 2018 (arXiv:1801.04381, table 2) and He et al. 2015 (arXiv:1512.03385, table 1).
"""

from __future__ import annotations

import importlib.util
import json
import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from inference.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLASSES = 1000
SIDE_PX = 224
_VERSION = 1
_OPSET, _IR_VERSION = 17, 8  # what exporters of 2023 on write


class Network(Protocol):
    """What an architecture is written in; ``value`` is a tensor, or what stands for one."""

    def convolution(self, value: Any, channels: int, kernel: int, stride: int = 1, *, depthwise: bool = False) -> Any:
        """Convolve, same size but for the stride, and normalise."""

    def relu(self, value: Any, most: float | None = None) -> Any:
        """Clip at 0, and at ``most`` if given."""

    def add(self, value: Any, other: Any) -> Any:
        """Add two of the same shape."""

    def max_pool(self, value: Any) -> Any:
        """3 x 3, stride 2."""

    def classify(self, value: Any) -> Any:
        """Average over the picture, then one dense layer."""

    def channels(self, value: Any) -> int:
        """How many channels it has."""


def mobilenet_v2(net: Network, value: Any) -> Any:
    """Write down MobileNetV2 of width 1."""
    value = net.relu(net.convolution(value, 32, 3, 2), 6)
    # expansion, channels, repeats, first stride
    for expansion, channels, repeats, first in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for stride in (first, *(1,) * (repeats - 1)):
            before, inside = value, net.channels(value) * expansion
            if expansion > 1:
                value = net.relu(net.convolution(value, inside, 1), 6)
            value = net.relu(net.convolution(value, inside, 3, stride, depthwise=True), 6)
            value = net.convolution(value, channels, 1)
            if stride == 1 and net.channels(before) == channels:
                value = net.add(before, value)
    return net.classify(net.relu(net.convolution(value, 1280, 1), 6))


def resnet_18(net: Network, value: Any) -> Any:
    """Write down ResNet-18."""
    value = net.max_pool(net.relu(net.convolution(value, 64, 7, 2)))
    for channels, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first, 1):
            short = value if stride == 1 else net.convolution(value, channels, 1, stride)
            value = net.relu(net.convolution(value, channels, 3, stride))
            value = net.relu(net.add(net.convolution(value, channels, 3), short))
    return net.classify(value)


ARCHITECTURES: dict[str, Callable[[Network, Any], Any]] = {"MobileNetV2": mobilenet_v2, "ResNet-18": resnet_18}


def model_folder(name: str, cache: Path) -> Path:
    """Return a model folder with the network in it; built at its first use.

    Raises:
        ConfigurationError: It has to be built, and ``onnx`` is not installed.
    """
    folder = cache / f"{name}-{_VERSION}"
    if (folder / "model.json").is_file():
        return folder
    if importlib.util.find_spec("onnx") is None:
        raise ConfigurationError(
            "The bench builds its networks with the onnx package, which nothing that runs in Azure needs: "
            "pip install onnx."
        )
    folder.mkdir(parents=True, exist_ok=True)
    net = OnnxNetwork()
    net.save(ARCHITECTURES[name](net, "image"), folder / "model.onnx")
    (folder / "labels.txt").write_text("\n".join(f"class {number:03}" for number in range(CLASSES)), encoding="utf-8")
    description = {
        "name": name,
        "labels": "labels.txt",
        "input": {
            "layout": "NCHW",
            "color_order": "RGB",
            "size": [SIDE_PX, SIDE_PX],
            "resize": "shortest_side_crop",
            "shortest_side": 256,
            "interpolation": "bicubic",
            "scale": 1 / 255,
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
        "output": {"activation": "softmax"},
    }
    (folder / "model.json").write_text(json.dumps(description), encoding="utf-8")
    return folder


class OnnxNetwork:
    """Writes an ONNX graph; values are names."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(18)
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._channels = {"image": 3}

    def convolution(self, value: str, channels: int, kernel: int, stride: int = 1, *, depthwise: bool = False) -> str:
        """See ``Network``."""
        groups = channels if depthwise else 1
        inputs = self._channels[value] // groups
        spread = math.sqrt(2 / (inputs * kernel * kernel))
        weight = self._weight(self._rng.standard_normal((channels, inputs, kernel, kernel)) * spread)
        bias = self._weight(self._rng.standard_normal(channels) * 0.05)
        return self._node(
            "Conv",
            [value, weight, bias],
            channels,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=groups,
        )

    def relu(self, value: str, most: float | None = None) -> str:
        """See ``Network``."""
        if most is None:
            return self._node("Relu", [value], self._channels[value])
        return self._node("Clip", [value, self._weight(0.0), self._weight(most)], self._channels[value])

    def add(self, value: str, other: str) -> str:
        """See ``Network``."""
        return self._node("Add", [value, other], self._channels[value])

    def max_pool(self, value: str) -> str:
        """See ``Network``."""
        return self._node(
            "MaxPool", [value], self._channels[value], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
        )

    def classify(self, value: str) -> str:
        """See ``Network``."""
        channels = self._channels[value]
        flat = self._node("Flatten", [self._node("GlobalAveragePool", [value], channels)], channels)
        weight = self._weight(self._rng.standard_normal((channels, CLASSES)) / math.sqrt(channels))
        return self._node("Gemm", [flat, weight, self._weight(np.zeros(CLASSES))], CLASSES)

    def channels(self, value: str) -> int:
        """See ``Network``."""
        return self._channels[value]

    def save(self, output: str, path: Path) -> None:
        """Write the graph that ends in ``output``; its batch is dynamic."""
        import onnx
        from onnx import TensorProto, helper

        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIDE_PX, SIDE_PX])
        logits = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", CLASSES])
        graph = helper.make_graph(self._nodes, "network", [image], [logits], self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        onnx.checker.check_model(model)
        onnx.save(model, path)

    def _weight(self, numbers: Any) -> str:
        from onnx import numpy_helper

        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.asarray(numbers, np.float32), name))
        return name

    def _node(self, operator: str, inputs: list[str], channels: int, **attributes: Any) -> str:
        from onnx import helper

        name = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        self._channels[name] = channels
        return name
