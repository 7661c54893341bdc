"""Measures the review page in a headless Chromium: ``python -m tests.tools.review.bench``.

A page of 1,000 photos (100 rendered ones, ten times): its size, and how long it takes to load. Then 100 photos are
reviewed by key, each as soon as it is painted: accepted, chosen by number, unsure, and found by search.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from tests.programs import needed
from tests.tools.report.browser import browsing
from tests.tools.review.rendered import write_rendered

_KEYS = ("Enter", "Enter", "2", "Enter", "u", "Enter", "3", "Enter", "/", "Enter")
_PAINTED = """new Promise((painted) => {
  const wait = () => {
    const image = document.querySelector("#picture img");
    if (image.complete && image.naturalWidth) requestAnimationFrame(painted);
    else requestAnimationFrame(wait);
  };
  requestAnimationFrame(wait);
}).then(() => performance.now())"""


def main() -> None:
    """Print the measurements as one JSON object."""
    with tempfile.TemporaryDirectory() as scratch, browsing(needed("chromium"), Path(scratch) / "profile") as page:
        path = Path(scratch) / "review.html"
        write_rendered(path, photos=100, copies=10)
        page_bytes = path.stat().st_size
        page.open(path)
        loaded = page.value(_PAINTED)
        page.value("addEventListener('keydown', () => { window.pressed = performance.now(); }, true)")
        delays = []
        started = time.monotonic()
        for number in range(100):
            key = _KEYS[number % len(_KEYS)]
            page.press(key)
            if key == "/":
                page.type("sta")
                page.press("Enter")
            delays.append(page.value(f"{_PAINTED}.then((time) => time - window.pressed)"))
        seconds = time.monotonic() - started
        reviewed = page.value("answers.size")
    delays.sort()
    numbers = {
        "page_mb": round(page_bytes / 1e6, 1),
        "first_photo_s": round(loaded / 1000, 2),
        "reviewed": reviewed,
        "photos_per_minute": round(reviewed / seconds * 60),
        "key_to_next_photo_ms": {"median": round(delays[50]), "p95": round(delays[95]), "max": round(delays[-1])},
    }
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
