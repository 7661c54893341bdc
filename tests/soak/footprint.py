"""Measures the worker's memory after many 12-megapixel photos at full concurrency, with a model of common size."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.soak.soak_worker import soak_worker
from tools.bench.inputs.networks import model_folder
from tools.bench.inputs.photos import KINDS, photos
from tools.process_stats import resident
from tools.webjobs.worker import ROOT

if TYPE_CHECKING:
    from pathlib import Path

THREADS = 6  # the worker's default on two CPUs: CPUs + 4
AT_ONCE = 16
_CACHE: Path = ROOT / ".cache" / "bench"


def footprint(images: int, threads: int = THREADS, network: str = "MobileNetV2") -> dict[str, Any]:
    """Return the resident set before, at its peak, and after ``images`` photos, sixteen at a time."""
    contents = photos(KINDS["12 MP"], _CACHE)
    folder = model_folder(network, _CACHE)
    with soak_worker(
        {"MODEL_DIR": str(folder), "PYTHON_THREADPOOL_THREAD_COUNT": str(threads)}, in_memory=False
    ) as run:
        before = resident(run.worker.process_id).now
        start = time.monotonic()
        outcomes: dict[str, int] = {}
        for first in range(0, images, AT_ONCE):
            names = [f"{number}.jpg" for number in range(first, min(first + AT_ONCE, images))]
            for number, name in enumerate(names, start=first):
                run.incoming.upload_blob(name, contents[number % len(contents)])
            run.classify(names)
            for outcome, count in run.outcomes(names).items():
                outcomes[outcome] = outcomes.get(outcome, 0) + count
        after = resident(run.worker.process_id)
    return {
        "network": network,
        "threads": threads,
        "file_mib": [round(len(content) / 2**20, 1) for content in contents],
        "rows": outcomes,
        "before_mib": before // 2**20,
        "peak_mib": after.peak // 2**20,
        "after_mb": round(after.now / 1e6),
        "after_mib": after.now // 2**20,
        "seconds": round(time.monotonic() - start),
    }
