"""PyTorch eager on the same networks, in evaluation mode and without gradients.

Runs in any interpreter that has torch and numpy. As in torchvision, normalisation and activation are separate steps,
and activations work in place.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's documentation uses

from tools.bench.inputs.networks import NETWORKS, SIDE_PX
from tools.bench.trials import Trial, run_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tools.bench.inputs.networks import Layer
    from tools.bench.workers.process import Functions


def functions(_cache: Path) -> Functions:
    """``eager``."""

    @cache
    def network(name: str) -> tuple[Sequence[Layer], list[tuple[Any, ...]]]:
        layers = NETWORKS[name]()
        return layers, [_weights(layer, layers) for layer in layers]

    def eager(network_name: str, torch_threads: int, seconds: float) -> Trial:
        image = torch.randn(1, 3, SIDE_PX, SIDE_PX)

        def work() -> None:
            torch.set_num_threads(torch_threads)  # a property of the calling thread
            with torch.inference_mode():
                run(*network(network_name), image)

        return run_for(seconds, work)

    return {"eager": eager}


def _weights(layer: Layer, layers: Sequence[Layer]) -> tuple[Any, ...]:
    if layer.kind not in {"conv", "dense"}:
        return ()
    inputs, outputs = layers[layer.inputs[0]].channels // layer.groups, layer.channels
    if layer.kind == "dense":
        return torch.randn(outputs, inputs) / math.sqrt(inputs), torch.zeros(outputs)
    kernel = torch.randn(outputs, inputs, layer.kernel, layer.kernel) * math.sqrt(2 / (inputs * layer.kernel**2))
    return kernel, (torch.zeros(outputs), torch.ones(outputs), torch.ones(outputs), torch.zeros(outputs))


def run(layers: Sequence[Layer], weights: Sequence[tuple[Any, ...]], image: Any) -> Any:
    """Return the logits, (N, classes), of images, (N, 3, H, W)."""
    last_use = {index: number for number, layer in enumerate(layers) for index in layer.inputs}
    values = {0: image}
    for number, (layer, weight) in enumerate(zip(layers, weights, strict=True)):
        if number:
            inputs = [values[index] for index in layer.inputs]
            for index in layer.inputs:  # frees what no later layer reads, as running code does
                if last_use[index] == number:
                    del values[index]
            values[number] = _output(layer, weight, *inputs)
    return values[len(layers) - 1]


def _output(layer: Layer, weight: tuple[Any, ...], value: Any, other: Any = None) -> Any:
    match layer.kind:
        case "conv":
            value = F.conv2d(value, weight[0], None, layer.stride, layer.kernel // 2, 1, layer.groups)
            return F.batch_norm(value, *weight[1])
        case "relu":
            return F.relu(value, inplace=True)
        case "relu6":
            return F.relu6(value, inplace=True)
        case "add":
            return value + other
        case "max_pool":
            return F.max_pool2d(value, 3, 2, 1)
        case _:
            return F.linear(F.adaptive_avg_pool2d(value, 1).flatten(1), *weight)
