"""``python -m tools demo`` as a newcomer runs it: every sample as expected, and the output that README.md shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def line_without_figures(line: str) -> str:
    """Image, status and label: scores and times differ between processors."""
    return re.sub(r"(?: +[\d.]+)+$", "", " ".join(line.split()))


@pytest.mark.azurite
def test_the_output_is_the_one_that_the_readme_shows() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools", "demo"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "160"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = {line_without_figures(line) for line in (done.stdout + done.stderr).splitlines()}
    (shown,) = re.findall(r"\$ make demo [^\n]*\n(.*?)```", README, re.DOTALL)
    lines = [line for line in shown.splitlines() if line != "..."]
    assert len(lines) > 8
    for line in lines:
        expected = line_without_figures(line).removesuffix(" ...")
        assert any(each.startswith(expected) for each in printed), line
