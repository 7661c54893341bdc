"""``python -m tools demo`` as a newcomer runs it: every sample as expected, and the output that README.md shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

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


@pytest.mark.azurite
def test_own_photos_and_model_get_one_line_each(tmp_path: Path) -> None:
    """Any file name: markup of the terminal library, a backslash, a control character. A text is rejected, not lost."""
    photos = tmp_path / "photos"
    (photos / "2026" / "[red]").mkdir(parents=True)
    picture = Image.new("RGB", (64, 48), (200, 30, 30))
    names = ["first.jpg", "2026/[red]/\u661f\x1b.png"] + ([] if sys.platform == "win32" else ["a\\b.jpg"])
    for name in names:
        picture.save(photos / name)
    (photos / ".hidden.jpg").write_bytes(b"x")
    (photos / "notes.txt").write_text("no photo")
    model = shutil.copytree(ROOT / "models" / "shapes", tmp_path / "mine")
    document = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(document | {"name": "mine"}))
    done = subprocess.run(
        [sys.executable, "-m", "tools", "demo", "--photos", str(photos), "--model", str(model)],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("  ")[0] for line in done.stdout.splitlines()]
    expected = ["2026/[red]/\u661f_.png", "first.jpg", "notes.txt"] + ["a/b.jpg"] * (len(names) - 2)
    assert sorted(lines[1 : len(names) + 2]) == sorted(expected)
    assert "(not_an_image)" in done.stdout
    assert f"{len(names) + 1} of {len(names) + 1} have a result" in done.stdout
    sidecars = [json.loads(path.read_text()) for path in (ROOT / ".demo" / "results").rglob("*.json")]
    assert {sidecar["model"] for sidecar in sidecars} == {"mine"}


def test_a_folder_without_photos_or_an_unknown_model_is_refused(tmp_path: Path) -> None:
    for arguments in (["--photos", str(tmp_path)], ["--model", "no-such-model"]):
        done = subprocess.run(
            [sys.executable, "-m", "tools", "demo", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
