"""The network: a small residual net of plain convolutions, which two cores train in 20 minutes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _Residual(nn.Module):  # type: ignore[misc]  # PyTorch is not installed where types are checked
    """Two 3 x 3 convolutions and a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(features + self.body(features))


class _Pooled(nn.Module):  # type: ignore[misc]  # as above
    """Mean and maximum over the image; the maximum keeps the signal of a small object."""

    def forward(self, features: Tensor) -> Tensor:
        mean, most = nn.functional.adaptive_avg_pool2d(features, 1), nn.functional.adaptive_max_pool2d(features, 1)
        return torch.cat([mean, most], dim=1).flatten(1)


def build(labels: int) -> nn.Module:
    """Build the untrained network.

    Args:
        labels: Number of classes.

    Returns:
        A module from float32 (N, 3, H, W) to logits (N, labels); about 220,000 parameters.
    """
    return nn.Sequential(
        *_convolution(3, 16, stride=2),
        *_convolution(16, 32, stride=2),
        *_convolution(32, 48, stride=2),
        _Residual(48),
        *_convolution(48, 64, stride=2),
        _Residual(64),
        *_convolution(64, 96, stride=2),
        _Pooled(),
        nn.Dropout(0.1),
        nn.Linear(2 * 96, labels),
    )


def _convolution(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]
