"""Records an export of an Ultralytics classifier, with the answers of its own predictor; see README.md."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from ultralytics import YOLO

from tools.maintainer.golden.recording import CLASSES, record
from tools.maintainer.golden.torch_network import disturb

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_SIZE = 64
# The exporter refuses files below 0.1 MB.
_ARCHITECTURE = """
nc: 5
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
head:
  - [-1, 1, Classify, [nc]]
"""


def main(golden: Path) -> None:
    """Export a tiny network, and let the predictor of Ultralytics classify."""
    torch.manual_seed(13)
    with TemporaryDirectory() as place:
        written = Path(place) / "tiny-cls.yaml"
        written.write_text(_ARCHITECTURE, encoding="utf-8")
        model = YOLO(written, task="classify")
        disturb(model.model)
        model.model.names = dict(enumerate(CLASSES))
        checkpoint = written.with_suffix(".pt")
        model.save(checkpoint)
        saved = YOLO(checkpoint)
        exported = saved.export(format="onnx", imgsz=_SIZE, simplify=False)
        folder = golden / "ultralytics" / str(_SIZE)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes(Path(exported).read_bytes())
        predictor = YOLO(checkpoint)

        def run(image: Image.Image) -> tuple[NDArray[Any], NDArray[Any]]:
            (answer,) = predictor.predict(image, imgsz=_SIZE, verbose=False)
            transform = predictor.predictor.transforms
            return transform(image)[None].numpy(), answer.probs.data.numpy()

        record(folder, ("ultralytics", "torch", "torchvision", "pillow"), run)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
