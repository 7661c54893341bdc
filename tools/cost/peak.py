"""A fresh process that reads a photo from stdin, classifies it and prints by how many MiB its memory rose.

``python -m tools.cost.peak MODEL_DIR < photo.jpg``. In a process that has rendered photos before, decoding would
reuse their memory and seem to need none. Linux resets the high-water mark of resident memory when asked to.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from inference import classifier
from inference.resources.memory import return_freed_memory
from tools.cost.photo import MIN_MEGAPIXELS, photo
from tools.process_stats import resident, restart_peak

_TIMEOUT_S = 120


def peak_mib(folder: Path, content: bytes) -> float | None:
    """Ask such a process; ``None`` where the system does not say."""
    if not resident().now:
        return None
    command = [sys.executable, "-m", "tools.cost.peak", str(folder)]
    root = Path(__file__).resolve().parents[2]
    asked = subprocess.run(
        command, input=content, capture_output=True, timeout=_TIMEOUT_S, check=True, cwd=root
    )  # a model or photo it refuses was refused here before
    return float(asked.stdout)


def _main(folder: Path) -> None:
    content = sys.stdin.buffer.read()
    return_freed_memory()  # as the app does
    loaded = classifier.load(folder)
    loaded.classify(photo(MIN_MEGAPIXELS))  # what only the first image pays for
    before = restart_peak().now
    loaded.classify(content)
    print(max(0, resident().peak - before) / 2**20)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
