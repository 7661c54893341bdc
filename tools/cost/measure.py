"""Measures CPU time and memory of one classification on this machine, and renders photos to measure with."""

from __future__ import annotations

import math
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from inference.decoding.header import read_header
from inference.limits import Limits
from inference.resources.memory import return_freed_memory
from tools.process_stats import resident, restart_peak
from tools.sample_photos.photographs import EVALUATION, camera_jpeg
from tools.sample_photos.render import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.classifier import Classifier

MIN_MEGAPIXELS, MAX_MEGAPIXELS = 0.05, 100.0
_PHOTOS, _RUNS = 3, 15
_RENDERED_PX = 1600  # long side: 100 megapixels would take minutes, and the grain hides the enlargement
_GRAIN = 9.0  # standard deviation, of 255


@dataclass(frozen=True, slots=True)
class Measured:
    """The cost of one image on this machine.

    Attributes:
        megapixels: Of the photos.
        photo_bytes: Of the photos, the median.
        cpu_s: Decoding and inference, CPU seconds per image, the median.
        peak_mib: Resident memory of one classification; ``None`` if the system does not report it.
    """

    megapixels: float
    photo_bytes: int
    cpu_s: float
    peak_mib: float | None = None


def measure(classifier: Classifier, photos: Sequence[bytes]) -> Measured:
    """Classify the photos in turns, one at a time, as the app does it.

    CPU time is measured because other programs disturb it less than the wall clock. A busy sibling core adds to it.

    Args:
        classifier: Its model is loaded.
        photos: At least one, all of one size.
    """
    return_freed_memory()  # the app sets the same
    peak_mib = _peak_mib(classifier, photos[0])
    spans = []
    for number in range(_RUNS):
        started = time.process_time()
        classifier.classify(photos[number % len(photos)])
        spans.append(time.process_time() - started)
    info = read_header(photos[0], Limits()).info
    return Measured(
        megapixels=info.width * info.height / 1e6,
        photo_bytes=round(statistics.median(map(len, photos))),
        cpu_s=statistics.median(spans),
        peak_mib=peak_mib,
    )


def _peak_mib(classifier: Classifier, content: bytes) -> float | None:
    classifier.classify(camera_jpeg(Image.new("RGB", (64, 48))))  # the first image has costs of its own
    try:
        before = restart_peak().now
    except OSError:
        return None
    classifier.classify(content)
    return max(0, resident().peak - before) / 2**20


def rendered_photos(megapixels: float) -> list[bytes]:
    """Render a few photos in another process: decoding would otherwise reuse the memory of rendering."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(photo, megapixels), range(_PHOTOS)))


def photo(megapixels: float, seed: int = 0) -> bytes:
    """Render a JPEG of 4:3 with a sensor's grain, about 2.5 bits per pixel; the same bytes for the same seed.

    The cost of decoding depends on bytes as much as on pixels. Seven camera photos of 3 to 16 megapixels had 1.4 to 5.5
    bits per pixel, the median 4.0 (old cameras, high quality); phones write 2 to 3.
    """
    width = max(64, round(math.sqrt(megapixels * 1e6 * 4 / 3)))
    height = max(48, round(width * 3 / 4))
    rendered = (min(width, _RENDERED_PX), min(height, _RENDERED_PX * 3 // 4))
    scene = render("spring", (EVALUATION, seed), *rendered).resize((width, height), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(seed).normal(0, _GRAIN, (height, width, 1)).astype(np.int16)
    return camera_jpeg(Image.fromarray(np.clip(np.asarray(scene, np.int16) + grain, 0, 255).astype(np.uint8)))
