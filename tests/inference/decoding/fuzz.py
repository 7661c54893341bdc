"""Classifies damaged files and reports every outcome other than a classification or a refusal.

    nice -n 15 python -m tests.inference.decoding.fuzz --inputs 200000 --seed 1 --findings FOLDER

A child process classifies with the product's own limits and a memory budget. It writes each input to a file before it
classifies it. So the parent knows which input crashed or hung the child, keeps that input, and starts the next child
behind it. Inputs whose outcome is new are damaged further. A finding is any other exception, a crash, more than 5 s of
CPU, or more memory than was reserved. ``test_fuzz.py`` is the short form.
"""

from __future__ import annotations

import argparse
import collections
import json
import mmap
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from inference import classifier
from inference.errors import PermanentError, TransientError
from inference.limits import Limits
from inference.resources.admission import Admission
from inference.resources.memory import return_freed_memory
from tests.inference.decoding.mutations import SEEDS, giants, mutate
from tools.process_stats import cpu_seconds, resident, restart_peak

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

ROOT = Path(__file__).parents[3]
PROGRAM = [sys.executable, "-m", "tests.inference.decoding.fuzz"]
MIB = 1024 * 1024
BUDGET_BYTES = 768 * MIB
CEILING_BYTES = 908 * MIB  # a worker of 1.2 GiB leaves this
PROCESS_BYTES = (
    2048 * MIB
)  # of address space beyond the ceiling, so that a runaway ends in MemoryError and spares the machine
SLACK_BYTES = 24 * MIB  # of the resident set: allocator and tables
SLOWEST_CPU_S = 5.0
HANGING_CPU_S = 60.0
_SLOT = struct.Struct("<QQ")
_SLOT_BYTES = 64 * MIB
_MAX_CORPUS = 3000
_REPORT_EVERY_S = 30
_LARGEST_INPUT_BYTES = 1 * MIB


class RecordingAdmission(Admission):
    """An admission that records the bytes of the last reservation."""

    reserved_bytes = 0

    def reserve(self, cost_bytes: int) -> AbstractContextManager[None]:
        self.reserved_bytes = cost_bytes
        return super().reserve(cost_bytes)


class FuzzTarget:
    """Classifies one input with the product's limits and the shipped model."""

    def __init__(self, limits: Limits) -> None:
        self.admission = RecordingAdmission(BUDGET_BYTES, CEILING_BYTES)
        self._classifier = classifier.load(ROOT / "models" / "shapes", limits=limits, admission=self.admission)
        self._classifier.classify(SEEDS[0])

    def outcome(self, content: bytes) -> tuple[str, str]:
        """Return the outcome and its detail without numbers; raise every other exception of the classifier."""
        self.admission.reserved_bytes = 0
        try:
            answer = self._classifier.classify(content)
        except PermanentError as error:
            if not error.detail:
                raise
            return error.reason, re.sub(r"\d+|[^ -~]+|'[^']*'", "#", error.detail)[:120]
        return "classified", answer.image.format


def damaged_giants(args: argparse.Namespace) -> Iterator[tuple[int, bytes]]:
    """Yield every giant, then damaged copies of it."""
    for name, content in giants(args.giants).items():
        print_json({"giant": name, "bytes": len(content)}, sys.stderr)
        dice = random.Random(f"{args.seed}:{name}")
        for number in range(args.inputs):
            yield number, content if number == 0 else mutate(content, dice)


def damaged_seeds(args: argparse.Namespace, corpus: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield numbered inputs; each depends on the seed, its number and the corpus at that time."""
    for number in range(args.first, args.inputs):
        dice = random.Random(f"{args.seed}:{number}")
        base = dice.choice(corpus if corpus and dice.random() < 0.4 else SEEDS)
        yield number, mutate(base, dice, SEEDS)


@dataclass(frozen=True, slots=True)
class Measured:
    """The outcome of one input, the problem if it is a finding, its CPU time, and its memory beyond the reservation."""

    outcome: tuple[str, str]
    problem: str | None
    cpu_s: float
    beyond_bytes: int


def measure(target: FuzzTarget, content: bytes, slowest_cpu_s: float = SLOWEST_CPU_S) -> Measured:
    """Classify one input and check the outcome, the CPU time and the memory."""
    problem, outcome = None, ("error", "")
    before = restart_peak().now
    started = time.process_time()
    try:
        outcome = target.outcome(content)
    except TransientError as error:
        problem = f"memory ran out: {error}"
    except Exception as error:  # noqa: BLE001 - any other exception is a finding
        problem = f"{type(error).__name__}: {error}"
    cpu_s = time.process_time() - started
    beyond = resident().peak - before - target.admission.reserved_bytes - 2 * len(content)
    if problem is None and cpu_s > slowest_cpu_s:
        problem = f"took {cpu_s:.1f} s of CPU"
    if problem is None and beyond > SLACK_BYTES:
        problem = f"took {beyond // MIB} MiB more than the {target.admission.reserved_bytes // MIB} it reserved"
    return Measured(outcome, problem, cpu_s, beyond)


def child(args: argparse.Namespace) -> None:
    """Classify and write findings; the last line of stdout counts the outcomes."""
    import resource  # Windows has none

    if not args.giants:  # making them takes more
        resource.setrlimit(resource.RLIMIT_AS, (CEILING_BYTES + PROCESS_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return_freed_memory()
    warnings.simplefilter("ignore")
    target = FuzzTarget(Limits(max_pixels=args.max_pixels))
    with args.slot.open("r+b") as file:
        slot = mmap.mmap(file.fileno(), 0)
    tally: collections.Counter[str] = collections.Counter()
    seen: set[tuple[str, str]] = set()
    corpus: list[bytes] = []
    slowest_s, most_beyond, reported = 0.0, 0, time.monotonic()
    for number, content in damaged_giants(args) if args.giants else damaged_seeds(args, corpus):
        slot[_SLOT.size : _SLOT.size + len(content)] = content
        slot[: _SLOT.size] = _SLOT.pack(number + 1, len(content))
        measured = measure(target, content)
        tally[measured.outcome[0]] += 1
        slowest_s, most_beyond = max(slowest_s, measured.cpu_s), max(most_beyond, measured.beyond_bytes)
        if measured.problem:
            _keep(args.findings, f"{args.seed}-{number}", content, f"{measured.problem} {list(measured.outcome)}")
        if measured.outcome not in seen and len(content) < _LARGEST_INPUT_BYTES and len(corpus) < _MAX_CORPUS:
            corpus.append(content)
        seen.add(measured.outcome)
        if args.giants:
            print_json([number, len(content), round(measured.cpu_s, 2), *measured.outcome], sys.stderr)
        elif time.monotonic() - reported > _REPORT_EVERY_S:
            reported = time.monotonic()
            print_json({"at": number, "kinds": len(seen), "slowest_s": round(slowest_s, 2)}, sys.stderr)
    print_json(
        {"tally": tally, "kinds": len(seen), "slowest_cpu_s": round(slowest_s, 2), "beyond_mib": most_beyond // MIB}
    )


def parent(args: argparse.Namespace) -> int:
    """Start children until all inputs are done; the exit code is 1 if there is a finding."""
    args.findings.mkdir(parents=True, exist_ok=True)
    earlier = len(list(args.findings.glob("*.bin")))
    first = 0
    with tempfile.NamedTemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as slot:
        slot.truncate(_SLOT_BYTES)
        while True:
            command = [*PROGRAM, *sys.argv[1:], "--slot", slot.name, "--first", str(first)]
            with Path(args.findings / "stderr.log").open("ab") as log:
                process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log)
            hung = _watch(process, Path(slot.name))
            out = process.stdout.read() if process.stdout else b""
            process.wait()
            if process.returncode == 0:
                sys.stdout.write(out.decode())
                break
            with Path(slot.name).open("rb") as file:
                number, length = _SLOT.unpack(file.read(_SLOT.size))
                content = file.read(length)
            if number <= first:
                sys.exit(f"The child ended with {process.returncode} before its first input: see stderr.log.")
            problem = "hung" if hung else f"ended with {process.returncode}"
            _keep(args.findings, f"{args.seed}-{number - 1}-crash", content, problem)
            if args.giants:  # made anew they would take minutes, and end there again
                break
            first = number
    findings = len(list(args.findings.glob("*.bin"))) - earlier
    print_json({"inputs": args.inputs, "seed": args.seed, "findings": findings})
    return 1 if findings else 0


def _watch(process: subprocess.Popen[bytes], slot: Path) -> bool:
    """Wait for the child; end it if one input takes too much CPU time."""
    at, since = b"", 0.0
    while process.poll() is None:
        time.sleep(0.5)
        with slot.open("rb") as file:
            now = file.read(_SLOT.size)
        used = cpu_seconds(process.pid)
        if now != at:
            at, since = now, used
        elif used - since > HANGING_CPU_S:
            process.kill()
            return True
    return False


def _keep(folder: Path, name: str, content: bytes, problem: str) -> None:
    (folder / f"{name}.bin").write_bytes(content)
    with (folder / "findings.jsonl").open("a") as file:
        print_json({"name": name, "bytes": len(content), "problem": problem}, file)


def print_json(value: object, to: IO[str] | None = None) -> None:
    """Write one line of JSON, by default to stdout."""
    print(json.dumps(value), file=to or sys.stdout, flush=True)


def main() -> int:
    """Parse the arguments and run as the parent or as its child."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--findings", type=Path, required=True, help="where inputs that found something are kept")
    parser.add_argument("--max-pixels", type=int, default=Limits().max_pixels)
    parser.add_argument("--giants", type=int, default=0, metavar="MEGAPIXELS", help="damage honest giants instead")
    parser.add_argument("--slot", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.slot:
        child(args)
        return 0
    return parent(args)


if __name__ == "__main__":
    sys.exit(main())
