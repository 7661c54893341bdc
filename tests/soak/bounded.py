"""Classifies sixteen large images at once, per format and mixed, under a hard limit on the worker's memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.inference.decoding.memory_stress import KINDS
from tests.soak.soak_worker import soak_worker
from tools.process_stats import resident

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azure.storage.blob import ContainerClient

_MIB = 1024 * 1024
AT_ONCE = 16
THREADS = 16  # more than the worker's default of CPUs + 4, for more concurrent images


def bounded(
    megapixels: float, grain: float, limit_mib: int, kinds: list[str], settings: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield one record of measurements per kind, each from a new worker."""
    environment = {"PYTHON_THREADPOOL_THREAD_COUNT": str(THREADS)} | dict(settings or {})
    with tempfile.TemporaryDirectory(prefix="soak-images-") as name:
        folder = Path(name)
        program = "from pathlib import Path; from tests.inference.decoding.memory_stress import write_images; "
        program += f"write_images(Path({name!r}), {megapixels}, {KINDS!r}, {grain})"
        subprocess.run([sys.executable, "-c", program], check=True)  # in a child process, because it needs a gigabyte
        for kind in kinds:
            formats = KINDS if kind == "mixed" else (kind,)
            yield {"kind": kind} | _one_kind(
                [folder / f"photo.{each}" for each in formats], limit_mib * _MIB, environment
            )


def _one_kind(files: list[Path], limit_bytes: int, settings: Mapping[str, str]) -> dict[str, Any]:
    with soak_worker(settings, limit_bytes, in_memory=False) as run:
        names = [f"{number}-{files[number % len(files)].name}" for number in range(AT_ONCE)]
        for number, name in enumerate(names):
            _upload(run.incoming, name, files[number % len(files)])
        before = resident(run.worker.process_id).now
        start = time.monotonic()
        run.classify(names)
        seconds = time.monotonic() - start
        after = resident(run.worker.process_id)
        return {
            "file_mib": [round(file.stat().st_size / _MIB) for file in files],
            "rows": run.outcomes(names),
            "before_mib": before // _MIB,
            "peak_mib": after.peak // _MIB,
            "after_mib": after.now // _MIB,
            "seconds": round(seconds),
            **run.limit.read(),
        }


def _upload(incoming: ContainerClient, name: str, file: Path) -> None:
    with file.open("rb") as content:
        incoming.upload_blob(name, content, max_concurrency=2)
