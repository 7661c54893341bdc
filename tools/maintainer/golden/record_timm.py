"""Records exports of timm with the ``config.json`` that timm writes. Run by ``python -m``; see README.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
from timm.models import save_for_hf

from tools.maintainer.golden.recording import CLASSES, record
from tools.maintainer.golden.torch_network import disturb, export, probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_SMALL_VIT = {"embed_dim": 16, "depth": 1, "num_heads": 2}
_SMALL_CONVNEXT = {"dims": (8, 8, 8, 16), "depths": (1, 1, 1, 1)}
# By name of the recording: timm's model, arguments that make it small, and values that differ from the published ones.
_MODELS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "deit-dynamo": ("deit_tiny_patch16_224.fb_in1k", _SMALL_VIT, {}),
    "convnext": ("convnext_atto.d2_in1k", _SMALL_CONVNEXT, {}),
    "convnext-squash": ("convnext_atto.d2_in1k", _SMALL_CONVNEXT, {"crop_mode": "squash", "crop_pct": 1.0}),
}


def main(golden: Path) -> None:
    """Export each model, and save its configuration by timm's own function."""
    for name, (architecture, small, stated) in _MODELS.items():
        torch.manual_seed(7)
        model = timm.create_model(
            architecture, num_classes=len(CLASSES), exportable=True, pretrained_cfg_overlay=stated, **small
        ).eval()
        disturb(model)
        config = timm.data.resolve_model_data_config(model)
        transform = timm.data.create_transform(**config, is_training=False)
        folder = golden / "timm" / name
        export(model, config["input_size"][-1], folder, dynamo=name.endswith("dynamo"))
        save_for_hf(model, folder, model_config={"label_names": CLASSES})
        for weights in (*folder.glob("*.safetensors"), *folder.glob("*.bin")):
            weights.unlink()

        def run(
            image: Image.Image, model: Any = model, transform: Any = transform
        ) -> tuple[NDArray[Any], NDArray[Any]]:
            tensor = transform(image)[None]
            return tensor.numpy(), probabilities(model, tensor).numpy()

        record(folder, ("timm", "torch", "torchvision", "pillow"), run)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
