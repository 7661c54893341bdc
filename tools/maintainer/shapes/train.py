"""Trains the model that ships, and writes its folder. Needs PyTorch, unlike the rest of the repository.

    pip install torch==2.13.0 onnx==1.23.2      # in an environment of your own, beside numpy and Pillow
    python -m tools.maintainer.shapes.train

Photographs are rendered once and kept as small images in ``.cache/``, until the code that renders them changes. The
seed determines the scenes, the initial weights and the order of training. Two cores need about 20 minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from tools.maintainer.shapes.network import build
from tools.sample_photos.photographs import SMALL_PX, TRAINING, VALIDATION, photograph
from tools.sample_photos.shapes import LABELS

if TYPE_CHECKING:
    import numpy.typing as npt

SEED = 20260101
MODEL_FOLDER = Path("models/shapes")
_CACHE = Path(".cache/shapes")
_BATCH = 64
_PEAK_RATE = 0.004

# The input of model.json, and of the training. 128 x 128 is enough to distinguish ten shapes.
INPUT_SIZE = (128, 128)
MEAN, STD = 0.5, 0.25
MODEL_JSON = {
    "name": "shapes",
    "graph": "model.onnx",
    "labels": "labels.txt",
    "input": {
        "layout": "NCHW",
        "color_order": "RGB",
        "size": list(INPUT_SIZE),
        "resize": "squash",
        "interpolation": "bilinear",
        "scale": 1 / 255,
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
    },
    "output": {"activation": "softmax"},
}


def main() -> None:
    """Render, train, measure and export, with the options of the command line."""
    parser = argparse.ArgumentParser(description="Train the shapes model and write models/shapes.")
    parser.add_argument("--count", type=int, default=14_000, help="training photographs (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=24, help="passes over all photographs (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=MODEL_FOLDER, help="folder to write (default: %(default)s)")
    arguments = parser.parse_args()
    training = _pixels(TRAINING, arguments.count)
    validation = _pixels(VALIDATION, 1000)
    torch.manual_seed(SEED)
    network = build(len(LABELS)).to(memory_format=torch.channels_last)
    _train(network, training, validation, arguments.epochs)
    _export(network, arguments.out)


def _small_pixels(series: int, number: int) -> npt.NDArray[np.uint8]:
    """Return one training photograph at the model's size, before normalisation: uint8, shape (3, H, W)."""
    photo = photograph(series, number, (*SMALL_PX, 480, 640))
    with Image.open(BytesIO(photo.content)) as file:
        upright = ImageOps.exif_transpose(file)
        squashed = upright.resize(INPUT_SIZE[::-1], Image.Resampling.BILINEAR)
    return np.asarray(squashed).transpose(2, 0, 1)


def _pixels(series: int, count: int) -> Tensor:
    """Render ``count`` photographs of a series, or load them from the cache: uint8, shape (count, 3, H, W)."""
    kept = _CACHE / f"{series}-{count}-{_renderer()}.npy"
    if not kept.exists():
        started = time.monotonic()
        with ProcessPoolExecutor() as pool:
            pixels = np.stack(list(pool.map(partial(_small_pixels, series), range(count), chunksize=50)))
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, pixels)
        print(f"rendered {count} photographs in {time.monotonic() - started:.0f} s")
    return torch.from_numpy(np.load(kept))


def _renderer() -> str:
    """Return a digest of the code that renders, which is part of the names in the cache."""
    folder = Path(__file__).parents[2] / "sample_photos"
    sources = ("meshes.py", "shapes.py", "surfaces.py", "scene.py", "render.py", "photographs.py")
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in sources)).hexdigest()[:12]


def _labels(count: int) -> Tensor:
    """Return the labels of the first ``count`` photographs: they alternate, see ``photograph``."""
    return torch.arange(count) % len(LABELS)


def _normalised(pixels: Tensor) -> Tensor:
    return (pixels.float() / 255 - MEAN) / STD


def _augmented(pixels: Tensor) -> Tensor:
    """Mirror, shift and relight normalised pixels, and sometimes hide a corner; the labels stay valid."""
    batch = len(pixels)
    mirrored = torch.rand(batch) < 0.5
    pixels = torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)
    scale = torch.empty(batch).uniform_(0.85, 1.1)
    theta = torch.zeros(batch, 2, 3)
    theta[:, 0, 0] = scale * torch.empty(batch).uniform_(0.92, 1.08)
    theta[:, 1, 1] = scale
    theta[:, :, 2] = torch.empty(batch, 2).uniform_(-0.08, 0.08)
    grid = nn.functional.affine_grid(theta, list(pixels.shape), align_corners=False)
    pixels = nn.functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    pixels = pixels * torch.empty(batch, 1, 1, 1).uniform_(0.75, 1.25) + torch.empty(batch, 3, 1, 1).uniform_(-0.3, 0.3)
    for index in torch.nonzero(torch.rand(batch) < 0.15).flatten().tolist():
        side = int(torch.randint(6, 24, ()))
        rows = slice(0, side) if torch.rand(()) < 0.5 else slice(-side, None)
        columns = slice(0, side) if torch.rand(()) < 0.5 else slice(-side, None)
        pixels[index, :, rows, columns] = torch.empty(()).uniform_(-2, 2)
    return pixels


def _train(network: nn.Module, training: Tensor, validation: Tensor, epochs: int) -> None:
    """Train in place: AdamW, one rate cycle, mild label smoothing, which keeps the scores calibrated."""
    labels = _labels(len(training))
    steps = -(-len(training) // _BATCH) * epochs
    optimiser = torch.optim.AdamW(network.parameters(), lr=_PEAK_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _PEAK_RATE, total_steps=steps, pct_start=0.15)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.02)
    for epoch in range(epochs):
        started, total = time.monotonic(), 0.0
        network.train()
        for chosen in torch.randperm(len(training)).split(_BATCH):
            pixels = _augmented(_normalised(training[chosen])).to(memory_format=torch.channels_last)
            # bfloat16 halves the time on processors that have it, without a measurable loss of accuracy.
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(pixels)
            loss = criterion(logits.float(), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
        print(
            f"epoch {epoch + 1}/{epochs}  loss {total / len(training):.4f}  "
            f"validation {_accuracy(network, validation):.4f}  {time.monotonic() - started:.0f} s",
            flush=True,
        )


def _accuracy(network: nn.Module, pixels: Tensor) -> float:
    network.eval()
    with torch.no_grad():
        answers = torch.cat([network(_normalised(batch)).argmax(1) for batch in pixels.split(256)])
    return float((answers == _labels(len(pixels))).float().mean())


def _export(network: nn.Module, folder: Path) -> None:
    """Write graph, labels and model.json, with a dynamic batch axis."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        network.eval(),
        (torch.zeros(1, 3, *INPUT_SIZE),),
        folder / "model.onnx",
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS), encoding="utf-8")
    (folder / "model.json").write_text(json.dumps(MODEL_JSON, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {folder}: {(folder / 'model.onnx').stat().st_size:,} bytes of graph")


if __name__ == "__main__":
    main()
