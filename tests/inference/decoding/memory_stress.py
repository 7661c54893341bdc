"""Measures the peak memory of sixteen concurrent decodes of large images within a budget.

    python -m tests.inference.decoding.memory_stress --megapixels 50 --budget-mib 768

One process writes the images to a temporary folder, another decodes them and prints one line of JSON: the budget,
the resident set before and at its peak, and how many images were decoded. ``test_memory_cost.py`` has its small form.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from inference.decoding.decode import decode
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
from inference.limits import Limits
from inference.resources.admission import Admission
from inference.resources.memory import return_freed_memory
from tools.process_stats import resident

MIB = 1024 * 1024
KINDS = ("png", "webp", "progressive.jpg", "heic")
AT_ONCE = 16


def write_images(folder: Path, megapixels: float, kinds: tuple[str, ...] = KINDS, grain: float = 0) -> None:
    """Write one smooth picture in every format; ``grain`` is the spread of the noise on it, in levels of 0..255."""
    import numpy as np
    from PIL import Image

    from tests.inference.decoding.image_samples import encode, encode_heif

    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = height * 4 // 3
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 255, (height // 40 + 1, width // 40 + 1, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    if grain:
        tile = np.asarray(rng.normal(0, grain, (1024, 1024, 3)), np.int16)  # larger than any encoder's window
        noise = np.tile(tile, (height // 1024 + 1, width // 1024 + 1, 1))[:height, :width]
        picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
    writers = {
        "png": lambda: encode(picture, "PNG", compress_level=1),
        "webp": lambda: encode(picture, "WEBP", method=0),
        "progressive.jpg": lambda: encode(picture, "JPEG", progressive=True, quality=90),
        "heic": lambda: encode_heif(picture, quality=50, enc_params={"preset": "ultrafast"}),
    }
    for kind in kinds:
        (folder / f"photo.{kind}").write_bytes(writers[kind]())


def decode_all(paths: list[Path], budget_bytes: int) -> dict[str, int]:
    """Decode ``AT_ONCE`` images from as many threads, as the classifier does, and watch the resident set."""
    return_freed_memory()
    admission = Admission(budget_bytes)
    before = peak = resident().now
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, resident().now)

    def work(path: Path) -> bool:
        with admission.reserve_content(path.stat().st_size):
            content = path.read_bytes()
            header = read_header(content, Limits())
            plan = plan_decode(header, _needed(header.info.width, header.info.height))
            with admission.reserve(plan.memory_bytes):
                return decode(content, plan).image.width > 0

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        finished = sum(pool.map(work, (paths[number % len(paths)] for number in range(AT_ONCE))))
    done.set()
    watcher.join()
    return {
        "budget_mib": budget_bytes // MIB,
        "before_mib": before // MIB,
        "peak_mib": peak // MIB,
        "after_mib": resident().now // MIB,
        "finished": finished,
        "seconds": round(time.monotonic() - started),
    }


def _needed(width: int, height: int) -> tuple[int, int]:
    return 256 * width // min(width, height), 256 * height // min(width, height)


def main() -> None:
    """Write the images in a child process, so that only decoding is measured, then decode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=50)
    parser.add_argument("--grain", type=float, default=0, help="spread of the noise on the photo, in levels of 0..255")
    parser.add_argument("--budget-mib", type=int, default=768)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--write-to", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write_to:
        write_images(args.write_to, args.megapixels, tuple(args.kinds), args.grain)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        again = [sys.executable, "-m", "tests.inference.decoding.memory_stress", "--megapixels", str(args.megapixels)]
        again += ["--grain", str(args.grain)]
        subprocess.run([*again, "--write-to", name, "--kinds", *args.kinds], check=True)
        print(json.dumps(decode_all(sorted(folder.iterdir()), args.budget_mib * MIB)))  # noqa: T201


if __name__ == "__main__":
    main()
