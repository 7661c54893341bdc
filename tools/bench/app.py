"""Our own in-process path, the floor below it, and the same steps written down bare."""

from __future__ import annotations

import io
import itertools
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from inference.classifier import Classifier
from inference.decoding.decode import decode, read_header
from inference.limits import Limits
from inference.model.folder import load_model
from inference.preprocess import needed_size
from inference.resources.admission import Admission
from inference.resources.memory import default_budget_bytes, return_freed_memory
from tools.bench.networks import SIDE_PX, model_folder
from tools.bench.photos import KINDS, photos
from tools.bench.trials import looped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from inference.decoding.decode import DecodedImage
    from inference.model.loaded import LoadedModel
    from tools.bench.worker_process import Contestants, Facts

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
_STD = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]
_SHORTEST_SIDE = 256
_FLOOR_SCALE = 8


def contestants(facts: Facts) -> Contestants:
    """``floor``, ``decode``, ``tensor``, ``bare tensor``, ``infer``, ``classify`` and ``bare loop``."""
    return_freed_memory()  # as the app does
    kept = Path(facts.cache)
    limits = Limits()

    @cache
    def model(network: str = "MobileNetV2") -> LoadedModel:
        return load_model(model_folder(network, kept))

    @cache
    def contents(photo: str) -> list[bytes]:
        return photos(KINDS[photo], kept)

    classifier = Classifier([model()], limits=limits, admission=Admission(default_budget_bytes()))

    def on_photos(work: Callable[[bytes], object]) -> Callable[..., Any]:
        def contest(photo: str, threads: int, seconds: float) -> Any:
            files: Iterator[bytes] = itertools.cycle(contents(photo))
            return looped(lambda: work(next(files)), threads, seconds)

        return contest

    def decoded(content: bytes) -> DecodedImage:
        spec = model().spec.input
        header = read_header(content, limits)
        return decode(content, header, needed=lambda width, height: needed_size(spec, width, height), upright=False)

    def bare_loop(content: bytes) -> None:
        model().run(_bare_tensor(content))

    def infer(network: str, threads: int, seconds: float) -> Any:
        tensor = np.random.default_rng(1).standard_normal((1, 3, SIDE_PX, SIDE_PX), np.float32)
        return looped(lambda: model(network).run(tensor), threads, seconds)

    return {
        "floor": on_photos(_floor),
        "decode": on_photos(decoded),
        "tensor": on_photos(lambda content: model().tensor(decoded(content))),
        "bare tensor": on_photos(_bare_tensor),
        "infer": infer,
        "classify": on_photos(classifier.classify),
        "bare loop": on_photos(bare_loop),
    }


def _floor(content: bytes) -> None:
    """The least that a JPEG costs: all of its bits are read, one pixel of 64 is made, in grey."""
    with Image.open(io.BytesIO(content)) as image:
        image.draft("L", (image.width // _FLOOR_SCALE, image.height // _FLOOR_SCALE))
        image.load()


def _bare_tensor(content: bytes) -> NDArray[np.generic]:
    """Bytes to the model's input as one would write it who knows of ``draft``: no header checks, no refusals."""
    with Image.open(io.BytesIO(content)) as image:
        factor = _SHORTEST_SIDE / min(image.size)
        whole = [int(side * factor) for side in image.size]
        image.draft("RGB", (2 * whole[0], 2 * whole[1]))
        left, top = ((side - SIDE_PX) // 2 for side in whole)
        across, down = image.width / whole[0], image.height / whole[1]
        box = (left * across, top * down, (left + SIDE_PX) * across, (top + SIDE_PX) * down)
        pixels = np.asarray(image.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC, box))
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)) * (1 / 255 / _STD)
    planes -= _MEAN / _STD
    tensor: NDArray[np.generic] = planes[None]
    return tensor
