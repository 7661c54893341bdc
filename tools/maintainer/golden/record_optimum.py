"""Records exports of Optimum, with the scores of transformers' own pipeline. Run by ``python -m``; see README.md."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers as tf
from optimum.exporters.onnx import main_export

from tools.maintainer.golden.recording import CLASSES, record
from tools.maintainer.golden.torch_network import disturb

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_VIT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "patch_size": 16}
_CONVNEXT = {"hidden_sizes": [8, 8, 8, 16], "depths": [1, 1, 1, 1]}
# By name of the recording: the configuration of a tiny model, and its processor as the published weights have it.
_MODELS: dict[str, tuple[Any, Any]] = {
    "vit": (tf.ViTConfig(image_size=64, **_VIT), tf.ViTImageProcessor(size={"height": 64, "width": 64})),
    "convnext": (tf.ConvNextConfig(**_CONVNEXT), tf.ConvNextImageProcessor(size={"shortest_edge": 96})),
    "convnext-384": (tf.ConvNextConfig(**_CONVNEXT), tf.ConvNextImageProcessor(size={"shortest_edge": 384})),
    "poolformer": (
        tf.PoolFormerConfig(hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1]),
        tf.PoolFormerImageProcessor(size={"shortest_edge": 96}, crop_size={"height": 96, "width": 96}),
    ),
}  # fmt: skip


def main(golden: Path) -> None:
    """Save each model, export it by Optimum, and ask the pipeline of transformers."""
    for name, (config, processor) in _MODELS.items():
        torch.manual_seed(11)
        config.id2label = dict(enumerate(CLASSES))
        config.label2id = {label: number for number, label in config.id2label.items()}
        model = tf.AutoModelForImageClassification.from_config(config).eval()
        disturb(model)
        model.config.architectures = [type(model).__name__]
        folder = golden / "optimum" / name
        with TemporaryDirectory() as saved:
            model.save_pretrained(saved)
            processor.save_pretrained(saved)
            main_export(saved, folder, task="image-classification", do_validation=False)
        ask = tf.pipeline("image-classification", model=model, image_processor=processor)

        def run(image: Image.Image, processor: Any = processor, ask: Any = ask) -> tuple[NDArray[Any], NDArray[Any]]:
            scores = {answer["label"]: answer["score"] for answer in ask(image, top_k=len(CLASSES))}
            return processor(image, return_tensors="np")["pixel_values"], np.array([scores[label] for label in CLASSES])

        record(folder, ("transformers", "optimum", "optimum-onnx", "torch", "pillow"), run)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
