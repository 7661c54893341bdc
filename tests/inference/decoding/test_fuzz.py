"""Whatever the bytes, only a classification or a named refusal comes out. Short and deterministic.

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
from tests.inference.decoding.fuzz import ROOT, Judge, measure
from tests.inference.decoding.mutations import SEEDS, mutate

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = int(os.environ.get("FUZZ_INPUTS", "3000"))
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads the resident set from /proc")


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(Limits(max_pixels=10_000_000))  # what is larger and valid is slow by right


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_what_is_damaged_here_can_be_classified(judge: Judge, seed: bytes) -> None:
    """Or the mutations would only ever show how broken files are refused."""
    assert judge.outcome(seed)[0] == "classified"


@linux
@pytest.mark.parametrize("warn", ["ignore", "error"])
def test_only_a_classification_or_a_named_refusal_comes_out(judge: Judge, warn: str) -> None:
    """Nor more memory than was asked for; the CPU time is held by the long run, where nothing else is running."""
    dice = random.Random(20_240_229 if warn == "ignore" else 11)
    outcomes: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter(warn)  # type: ignore[arg-type]
        for _ in range(INPUTS // 2):
            measured = measure(judge, mutate(dice.choice(SEEDS), dice), slowest_cpu_s=float("inf"))
            assert measured.problem is None
            outcomes[measured.outcome[0]] += 1
    assert 0.05 < outcomes["classified"] / (INPUTS // 2) < 0.9  # the mutations neither break all nor touch nothing
    assert outcomes.keys() > {"truncated", "corrupt", "too_many_pixels"}


@linux
def test_the_long_run_attributes_a_crash_and_goes_on(tmp_path: Path) -> None:
    """A fuzzer that dies with its decoder finds nothing: here the classifier itself is made to end the process."""
    program = """
import os, sys
from tests.inference.decoding import fuzz

def outcome(self, content):
    if content[:1] != b"\\xff":
        os.abort()
    return "classified", "jpeg"

if "--slot" in sys.argv:
    fuzz.Judge.__init__ = lambda self, limits: setattr(self, "admission", fuzz.Asked(1, 1))
    fuzz.Judge.outcome = outcome
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
