"""CPU time of one image on this machine, measured as the app classifies it."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.decoding.header import read_header
from inference.limits import Limits
from inference.resources.memory import return_freed_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.classifier import Classifier


@dataclass(frozen=True, slots=True)
class Measured:
    """One image's cost.

    Attributes:
        megapixels: Of the photos.
        photo_bytes: Of the photos, the median.
        cpu_s: Decoding and inference, CPU seconds per image, the median.
    """

    megapixels: float
    photo_bytes: int
    cpu_s: float


def measure(classifier: Classifier, photos: Sequence[bytes], runs: int = 15) -> Measured:
    """Classify the photos in turns, one at a time.

    CPU time, not the clock, so that other programs on the machine disturb little; a busy sibling core still slows it.

    Args:
        classifier: Loaded and warm.
        photos: At least one, all of one size.
        runs: How many classifications count.
    """
    return_freed_memory()  # as the app does
    classifier.classify(photos[0])  # what only the first image pays for
    spans = []
    for run in range(runs):
        started = time.process_time()
        classifier.classify(photos[run % len(photos)])
        spans.append(time.process_time() - started)
    info = read_header(photos[0], Limits()).info
    return Measured(
        megapixels=info.width * info.height / 1e6,
        photo_bytes=round(statistics.median(map(len, photos))),
        cpu_s=statistics.median(spans),
    )
