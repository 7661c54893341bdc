"""The app's in-process path, the lower bound of decoding, and the same steps written with bare library calls."""

from __future__ import annotations

import io
import itertools
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg  # type: ignore[import-untyped]  # its stub has no py.typed marker
from PIL import Image

from inference.capture.exif_facts import read_capture_facts
from inference.classifier import Classifier
from inference.decoding.decode import decode
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
from inference.limits import Limits
from inference.model.folder import load_model
from inference.phash import phash
from inference.preprocess import needed_size
from inference.resources.admission import Admission
from inference.resources.memory import default_budget_bytes, return_freed_memory
from tools.bench.inputs.networks import DEFAULT_NETWORK, SIDE_PX, model_folder
from tools.bench.inputs.photos import KINDS, camera_exif, photos
from tools.bench.trials import Trial, run_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from inference.decoding.decode import DecodedImage
    from inference.model.loaded import LoadedModel
    from tools.bench.workers.process import Functions

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
_STD = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]
_SHORTEST_SIDE_PX = 256
_FLOOR_SCALE = 8


def functions(cache_folder: Path) -> Functions:
    """``floor``, ``decode``, ``bare tensor``, ``infer``, ``classify``, ``bare loop``, ``capture facts``, ``phash``."""
    return_freed_memory()  # the app sets the same
    limits = Limits()

    @cache
    def model(network: str = DEFAULT_NETWORK) -> LoadedModel:
        return load_model(model_folder(network, cache_folder))

    classifier = Classifier([model()], limits=limits, admission=Admission(default_budget_bytes()))

    def on_photos(work: Callable[[bytes], object]) -> Callable[..., Trial]:
        def function(photo: str, threads: int, seconds: float) -> Trial:
            files: Iterator[bytes] = itertools.cycle(photos(KINDS[photo], cache_folder))
            return run_for(seconds, lambda: work(next(files)), threads)

        return function

    def decoded(content: bytes) -> DecodedImage:
        spec = model().spec.input
        header = read_header(content, limits)
        plan = plan_decode(header, needed_size(spec, header.info.width, header.info.height))
        return decode(content, plan, upright=False)

    def infer(network: str, threads: int, seconds: float) -> Trial:
        tensor = np.random.default_rng(1).standard_normal((1, 3, SIDE_PX, SIDE_PX), np.float32)
        return run_for(seconds, lambda: model(network).run(tensor), threads)

    def capture_facts(photo: str, threads: int, seconds: float) -> Trial:  # noqa: ARG001 - they do not depend on pixels
        block = camera_exif()
        return run_for(seconds, lambda: read_capture_facts(block), threads)

    def fingerprint(photo: str, threads: int, seconds: float) -> Trial:
        pictures = itertools.cycle([decoded(content) for content in photos(KINDS[photo], cache_folder)])
        return run_for(seconds, lambda: phash(next(pictures)), threads)

    return {
        "capture facts": capture_facts,
        "phash": fingerprint,
        "floor": on_photos(_floor),
        "decode": on_photos(decoded),
        "bare tensor": on_photos(bare_tensor),
        "infer": infer,
        "classify": on_photos(classifier.classify),
        "bare loop": on_photos(lambda content: model().run(bare_tensor(content))),
    }


def _floor(content: bytes) -> None:
    """Decode a JPEG to 1/8 of its size in grey: Pillow reads every bit and produces one pixel of 64."""
    with Image.open(io.BytesIO(content)) as image:
        image.draft("L", (image.width // _FLOOR_SCALE, image.height // _FLOOR_SCALE))
        image.load()


def bare_tensor(content: bytes) -> NDArray[np.generic]:
    """Return the model's input, (1, 3, 224, 224) float32, by library calls alone: no header checks, no refusals.

    The decoder is the fastest that the app could use: libjpeg-turbo without Pillow's own reading in blocks.
    """
    height, width, _, _ = simplejpeg.decode_jpeg_header(content)
    factor = _SHORTEST_SIDE_PX / min(width, height)
    whole = [int(side * factor) for side in (width, height)]
    reduced = simplejpeg.decode_jpeg(content, "RGB", min_height=2 * whole[1], min_width=2 * whole[0])
    image = Image.fromarray(reduced)
    left, top = ((side - SIDE_PX) // 2 for side in whole)
    across, down = image.width / whole[0], image.height / whole[1]
    box = (left * across, top * down, (left + SIDE_PX) * across, (top + SIDE_PX) * down)
    pixels = np.asarray(image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC, box))
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)) * (1 / 255 / _STD)
    planes -= _MEAN / _STD
    tensor: NDArray[np.generic] = planes[None]
    return tensor
