"""The same networks as PyTorch runs them eagerly, in evaluation mode and without gradients.

Imported only by an interpreter that has torch, which need not be ours.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody calls it


class EagerNetwork:
    """Runs an architecture at once; values are tensors. The weights are made in the first run and kept.

    Not safe for several threads at a time: call ``begin`` on a network of your own.
    """

    def __init__(self) -> None:
        self._weights: list[Any] = []
        self._at = 0

    def begin(self) -> None:
        """Go back to the first layer, for another run."""
        self._at = 0

    def convolution(self, value: Any, channels: int, kernel: int, stride: int = 1, *, depthwise: bool = False) -> Any:
        """Convolve and normalise, as ``Conv2d(bias=False)`` and ``BatchNorm2d`` do."""
        groups = channels if depthwise else 1
        inputs = value.shape[1] // groups
        spread = math.sqrt(2 / (inputs * kernel * kernel))
        weight = self._weight(lambda: torch.randn(channels, inputs, kernel, kernel) * spread)
        value = F.conv2d(value, weight, None, stride, kernel // 2, 1, groups)
        mean, variance, scale, shift = self._weight(
            lambda: (torch.zeros(channels), torch.ones(channels), torch.ones(channels), torch.zeros(channels))
        )
        return F.batch_norm(value, mean, variance, scale, shift)

    def relu(self, value: Any, most: float | None = None) -> Any:
        """In place, as torchvision's networks do."""
        return F.relu(value, inplace=True) if most is None else F.relu6(value, inplace=True)

    def add(self, value: Any, other: Any) -> Any:
        """Add two of the same shape."""
        return value + other

    def max_pool(self, value: Any) -> Any:
        """3 x 3, stride 2."""
        return F.max_pool2d(value, 3, 2, 1)

    def classify(self, value: Any) -> Any:
        """Average over the picture, then one dense layer."""
        flat = F.adaptive_avg_pool2d(value, 1).flatten(1)
        weight, bias = self._weight(
            lambda: (torch.randn(1000, flat.shape[1]) / math.sqrt(flat.shape[1]), torch.zeros(1000))
        )
        return F.linear(flat, weight, bias)

    def channels(self, value: Any) -> int:
        """How many channels it has."""
        return int(value.shape[1])

    def _weight(self, make: Any) -> Any:
        if self._at == len(self._weights):
            self._weights.append(make())
        self._at += 1
        return self._weights[self._at - 1]
