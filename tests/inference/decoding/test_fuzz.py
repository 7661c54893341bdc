"""Damaged files are classified or refused: a short, deterministic run of the fuzzer.

The long run is ``python -m tests.inference.decoding.fuzz``, in a process that may crash;
``FUZZ_INPUTS`` makes this one longer.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import warnings
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from inference.limits import Limits
from tests.inference.decoding.fuzz import ROOT, FuzzTarget, measure
from tests.inference.decoding.mutations import SEEDS, mutate

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = int(os.environ.get("FUZZ_INPUTS", "3000"))
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads the resident set from /proc")


@pytest.fixture(scope="module")
def target() -> FuzzTarget:
    return FuzzTarget(Limits(max_pixels=10_000_000))  # larger valid images are slow


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_the_undamaged_seeds_are_classified(target: FuzzTarget, seed: bytes) -> None:
    """Otherwise the mutations would only test refusals."""
    assert target.outcome(seed)[0] == "classified"


@linux
@pytest.mark.parametrize("warn", ["ignore", "error"])
def test_damaged_files_are_classified_or_refused(target: FuzzTarget, warn: str) -> None:
    """They take no more memory than they reserve. The long run checks the CPU time, on an idle machine."""
    dice = random.Random(20_240_229 if warn == "ignore" else 11)
    outcomes: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter(warn)  # type: ignore[arg-type]
        for _ in range(INPUTS // 2):
            measured = measure(target, mutate(dice.choice(SEEDS), dice), slowest_cpu_s=float("inf"))
            assert measured.problem is None
            outcomes[measured.outcome[0]] += 1
    assert 0.05 < outcomes["classified"] / (INPUTS // 2) < 0.9  # the mutations break some files and spare others
    assert outcomes.keys() > {"truncated", "corrupt", "too_many_pixels"}


@linux
def test_the_long_run_keeps_the_input_of_a_crash_and_continues(tmp_path: Path) -> None:
    """The classifier itself ends the process, as a decoder that crashes would."""
    program = """
import os, sys
from tests.inference.decoding import fuzz

def outcome(self, content):
    if content[:1] != b"\\xff":
        os.abort()
    return "classified", "jpeg"

if "--slot" in sys.argv:
    fuzz.FuzzTarget.__init__ = lambda self, limits: setattr(self, "admission", fuzz.RecordingAdmission(1, 1))
    fuzz.FuzzTarget.outcome = outcome
    fuzz.mutate = lambda content, dice, corpus: content
    fuzz.SEEDS[:] = [b"\\xff fine", b"not so"]
else:
    fuzz.PROGRAM = [sys.executable, __file__]
sys.exit(fuzz.main())
"""
    script = tmp_path / "crashing.py"
    script.write_text(program)
    findings = tmp_path / "findings"
    run = subprocess.run(
        [sys.executable, script, "--inputs", "6", "--findings", findings],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    kept = [file.read_bytes() for file in findings.glob("*.bin")]
    assert run.returncode == 1, run.stderr
    assert set(kept) == {b"not so"}
    assert '"inputs": 6' in run.stdout
