"""A tiny classifier with random weights, and its export by either exporter of PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from pathlib import Path


def build(classes: int) -> nn.Module:
    """Return a network for RGB of any size from 16 pixels, with logits that differ between pictures."""
    torch.manual_seed(5)
    head = nn.Linear(16, classes)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=4), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head,
    )  # fmt: skip
    spread(head)
    return network.eval()


def spread(head: nn.Linear) -> None:
    """Enlarge the weights of the last layer, so that a wrong tensor changes the scores."""
    with torch.no_grad():
        head.weight.mul_(8 / head.weight.std() / head.in_features**0.5)


def export(network: nn.Module, size: int, folder: Path, *, dynamo: bool) -> None:
    """Write ``model.onnx`` with a free batch axis, by the exporter of ``torch.export`` or by that of TorchScript."""
    folder.mkdir(parents=True, exist_ok=True)
    example: tuple[Tensor] = (torch.zeros(2, 3, size, size),)
    free = (
        {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
        if dynamo
        else {"dynamic_axes": {"input": {0: "batch"}, "logits": {0: "batch"}}}
    )
    torch.onnx.export(
        network, example, folder / "model.onnx", dynamo=dynamo, input_names=["input"], output_names=["logits"], **free
    )


def probabilities(network: nn.Module, tensor: Tensor) -> Tensor:
    """Return the softmax of the logits."""
    with torch.inference_mode():
        return network(tensor).softmax(dim=1)


def disturb(model: nn.Module) -> None:
    """Add noise to every weight: fresh models of some kinds give the same scores for every picture."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    spread([layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1])
