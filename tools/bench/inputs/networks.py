"""MobileNetV2 and ResNet-18 as lists of layers, and as model folders with an ONNX graph.

The weights are random. Speed does not depend on them as long as no value becomes denormal, which He initialisation
prevents. The graph is what exporters write for inference: batch normalisation is folded into the convolutions.

Architectures: Sandler et al. 2018 (arXiv:1801.04381, table 2) and He et al. 2015 (arXiv:1512.03385, table 1).
"""

from __future__ import annotations

import importlib.util
import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from inference.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

CLASSES = 1000
SIDE_PX = 224
DEFAULT_NETWORK = "MobileNetV2"
"""The network of every figure that names none."""

_VERSION = 1
_OPSET, _IR_VERSION = 17, 8  # what exporters write since 2023


class Layer(NamedTuple):
    """One layer.

    Attributes:
        kind: ``conv`` (convolution and normalisation), ``relu``, ``relu6``, ``add``, ``max_pool`` (3 x 3, stride 2) or
            ``dense`` (average over the image, then a dense layer). The first layer of a list is the ``image``.
        inputs: Indices of the layers that it reads.
        channels: Of its output.
        kernel: Side of a convolution's kernel; the padding keeps the size.
        stride: Of a convolution.
        groups: Of a convolution.
    """

    kind: str
    inputs: tuple[int, ...]
    channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1


class _Layers(list[Layer]):
    """A list of layers that grows; methods return the index of the new layer."""

    def __init__(self) -> None:
        super().__init__([Layer("image", (), 3)])

    def append_layer(self, kind: str, *inputs: int) -> int:
        self.append(Layer(kind, inputs, CLASSES if kind == "dense" else self[inputs[0]].channels))
        return len(self) - 1

    def convolve(self, value: int, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> int:
        self.append(Layer("conv", (value,), channels, kernel, stride, groups))
        return len(self) - 1


def mobilenet_v2() -> Sequence[Layer]:
    """MobileNetV2 of width 1."""
    net = _Layers()
    value = net.append_layer("relu6", net.convolve(0, 32, 3, 2))
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
            before, inside = value, net[value].channels * expansion
            if expansion > 1:
                value = net.append_layer("relu6", net.convolve(value, inside, 1))
            value = net.append_layer("relu6", net.convolve(value, inside, 3, stride, groups=inside))
            value = net.convolve(value, channels, 1)
            if stride == 1 and net[before].channels == channels:
                value = net.append_layer("add", before, value)
    net.append_layer("dense", net.append_layer("relu6", net.convolve(value, 1280, 1)))
    return net


def resnet_18() -> Sequence[Layer]:
    """ResNet-18."""
    net = _Layers()
    value = net.append_layer("max_pool", net.append_layer("relu", net.convolve(0, 64, 7, 2)))
    for channels, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first, 1):
            short = value if stride == 1 else net.convolve(value, channels, 1, stride)
            value = net.append_layer("relu", net.convolve(value, channels, 3, stride))
            value = net.append_layer("relu", net.append_layer("add", net.convolve(value, channels, 3), short))
    net.append_layer("dense", value)
    return net


NETWORKS: dict[str, Callable[[], Sequence[Layer]]] = {"MobileNetV2": mobilenet_v2, "ResNet-18": resnet_18}


def model_folder(name: str, cache: Path) -> Path:
    """Return a model folder that holds the network; the first call builds it.

    Raises:
        ConfigurationError: It must be built, and ``onnx`` is not installed.
    """
    folder = cache / f"{name}-{_VERSION}"
    if (folder / "model.json").is_file():
        return folder
    if importlib.util.find_spec("onnx") is None:
        raise ConfigurationError(
            "The bench builds its networks with the onnx package, which the app itself does not need: pip install onnx."
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write_graph(NETWORKS[name](), folder / "model.onnx")
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


def _write_graph(layers: Sequence[Layer], path: Path) -> None:
    """Write an ONNX graph with a dynamic batch axis."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(18)
    nodes: list[Any] = []
    weights: list[Any] = []

    def weight(values: Any) -> str:
        weights.append(numpy_helper.from_array(np.asarray(values, np.float32), f"weight_{len(weights)}"))
        return str(weights[-1].name)

    def node(operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"{operator.lower()}_{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def output_of(layer: Layer, source: str, *others: str) -> str:
        inputs = layers[layer.inputs[0]].channels // layer.groups
        match layer.kind:
            case "conv":
                spread = math.sqrt(2 / (inputs * layer.kernel**2))
                shape = (layer.channels, inputs, layer.kernel, layer.kernel)
                kernel = weight(rng.standard_normal(shape) * spread)
                bias = weight(rng.standard_normal(layer.channels) * 0.05)
                pads, strides = [layer.kernel // 2] * 4, [layer.stride] * 2
                return node("Conv", source, kernel, bias, pads=pads, strides=strides, group=layer.groups)
            case "relu6":
                return node("Clip", source, weight(0.0), weight(6.0))
            case "max_pool":
                return node("MaxPool", source, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
            case "dense":
                flat = node("Flatten", node("GlobalAveragePool", source))
                dense = weight(rng.standard_normal((inputs, layer.channels)) / math.sqrt(inputs))
                return node("Gemm", flat, dense, weight(np.zeros(layer.channels)))
            case _:
                return node({"relu": "Relu", "add": "Add"}[layer.kind], source, *others)

    outputs = ["image"]
    for layer in layers[1:]:
        outputs.append(output_of(layer, *(outputs[index] for index in layer.inputs)))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIDE_PX, SIDE_PX])
    logits = helper.make_tensor_value_info(outputs[-1], TensorProto.FLOAT, ["batch", CLASSES])
    graph = helper.make_graph(nodes, "network", [image], [logits], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    onnx.save(model, path)
