"""Many large images at once stay within the budget: the short form of ``memory_stress``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the resident set from /proc")
def test_sixteen_images_at_once_all_finish_within_the_budget() -> None:
    """One WebP of 5 megapixels takes 80 MiB: without admission the sixteen would take some 700."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.inference.decoding.memory_stress", "--megapixels", "5", "--budget-mib", "120"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    measured = json.loads(run.stdout)
    assert measured["finished"] == 16
    assert measured["peak_mib"] - measured["before_mib"] <= measured["budget_mib"] + 16
    assert measured["after_mib"] - measured["before_mib"] <= 48
