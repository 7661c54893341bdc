"""Records exports of both exporters of PyTorch with transforms of torchvision. Run by ``python -m``; see README.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchvision import models

from tools.maintainer.golden.recording import CLASSES, record, write_json
from tools.maintainer.golden.torch_network import build, export, probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_WEIGHTS = [
    models.ResNet50_Weights.IMAGENET1K_V1,
    models.ResNet50_Weights.IMAGENET1K_V2,
    models.EfficientNet_B1_Weights.IMAGENET1K_V2,
    models.Inception_V3_Weights.IMAGENET1K_V1,
    models.Swin_V2_T_Weights.IMAGENET1K_V1,
    models.MaxVit_T_Weights.IMAGENET1K_V1,
]


def main(golden: Path) -> None:
    """Export a network for each transform by both exporters."""
    network = build(len(CLASSES))
    for weight in _WEIGHTS:
        transform = weight.transforms()

        def run(image: Image.Image, transform: Any = transform) -> tuple[NDArray[Any], NDArray[Any]]:
            tensor = transform(image)[None]
            return tensor.numpy(), probabilities(network, tensor).numpy()

        for exporter, dynamo in (("torch-legacy", False), ("torch-dynamo", True)):
            folder = golden / exporter / str(weight).replace("_Weights.", "-").lower()
            export(network, transform.crop_size[0], folder, dynamo=dynamo)
            write_json(folder / "labels.json", CLASSES)
            write_json(
                folder / "model.json", {"preprocess": f"torchvision/{weight}", "output": {"activation": "softmax"}}
            )
            record(folder, ("torch", "torchvision", "onnxscript", "pillow"), run)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
