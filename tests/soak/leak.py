"""Measures the growth of the worker's memory over thousands of small images, valid and damaged, with distinct names."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.inference.decoding.mutations import SEEDS, mutate
from tests.soak.soak_worker import soak_worker
from tools.process_stats import resident

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak.soak_worker import SoakWorker

AT_ONCE = 16
_DAMAGED_SHARE = 0.25


def leak(images: int, samples_to: Path | None = None) -> dict[str, Any]:
    """Return the least-squares slope of the resident set over the second half of the images, in KiB per image."""
    rng = random.Random(5)
    samples: list[tuple[int, int]] = []
    outcomes: dict[str, int] = {}
    start = time.monotonic()
    with soak_worker({"PYTHON_THREADPOOL_THREAD_COUNT": "6"}) as run:
        for first in range(0, images, AT_ONCE):
            names = [_upload(run, number, rng) for number in range(first, min(first + AT_ONCE, images))]
            run.classify(names)
            samples.append((first + len(names), resident(run.worker.process_id).now // 1024))
            if samples_to:
                with samples_to.open("a") as file:
                    file.write(f"{samples[-1][0]},{samples[-1][1]}\n")
            if first % (AT_ONCE * 10) == 0:  # every tenth batch, because reading the rows takes time
                for outcome, count in run.outcomes(names).items():
                    outcomes[outcome] = outcomes.get(outcome, 0) + count
        collected = run.worker.ask("uploads", id=run.function, container="somewhere-else", first=0, count=0)
    half = np.array(samples[len(samples) // 2 :], dtype=np.float64)
    slope, _ = np.polyfit(half[:, 0], half[:, 1], 1)
    tenths = [samples[(len(samples) - 1) * tenth // 10][1] // 1024 for tenth in range(11)]
    return {
        "images": images,
        "slope_kib_per_image": round(float(slope), 4),
        "resident_mib_by_tenth": tenths,
        "clients_left": collected["clients"],
        "rows_sampled": outcomes,
        "seconds": round(time.monotonic() - start),
    }


def _upload(run: SoakWorker, number: int, rng: random.Random) -> str:
    content = rng.choice(SEEDS)
    if rng.random() < _DAMAGED_SHARE:
        content = mutate(content, rng)
    name = f"folder {number // 500}/{number}.image"
    run.incoming.upload_blob(name, content)
    return name
