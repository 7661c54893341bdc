"""Measures decisions: ``python -m tests.tools.decide.bench [ROWS]``, with an Azurite of its own.

First the CPU time of one decision about 1,000 labels, then requests and seconds of the command over many rows.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from inference.decision.rules import load_rules
from inference.scores import pack_scores
from tests.tools.decide.results import SPEC, counted_requests, result, write
from tools.__main__ import main
from tools.account import open_account
from tools.azurite.azurite import running

RULES = {
    "min_score": 0.5,
    "labels": {"star": {"as": "figure"}, "cross": {"as": "figure"}},
    "parents": {"cube": "solid"},
}


def measure_cpu() -> None:
    """Print the CPU time of one decision: without rules, and with 100 merged labels, a list of 699 and 16 parents."""
    labels = [f"label {n}" for n in range(1000)]
    rules = {
        "min_score": 0.9,
        "labels": {f"label {n}": {"as": f"label {n + 1}"} for n in range(0, 200, 2)},
        "allow": {"a/": labels[201:900]},
        "parents": {label: f"group {n // 50}" for n, label in enumerate(labels) if n > 200},
    }
    rng = np.random.default_rng(1)
    scores = [pack_scores(rng.dirichlet(np.full(len(labels), 0.01))) for _ in range(1000)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "decision.json")
        for name, content in (("no rules", {}), ("many rules", rules)):
            file.write_text(json.dumps(content))
            decision = load_rules(file, labels, one_is_true=True)
            started = time.process_time()
            for each in scores:
                decision.decide(each, "a/photo.jpg")
            print(name, f"{time.process_time() - started:.3f} ms of CPU for a decision")  # seconds for 1,000


def measure(rows: int) -> None:
    """Write the rows, decide them twice, and print requests and seconds of each run."""
    rng = np.random.default_rng(1)
    with open_account() as account:
        write(
            account,
            *(
                result(account, f"site {n % 7}/{n:07}.jpg", rng.dirichlet(np.full(len(SPEC.labels), 0.2)))
                for n in range(rows)
            ),
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "decision.json")
        file.write_text(json.dumps(RULES))
        for run in ("first run", "second run"):
            started = time.monotonic()
            with counted_requests() as sent:
                code = main(["decide", "--decision", str(file), "--json"])
            kinds = Counter(_kind(line) for line in sent)
            print(run, "exit", code, len(sent), "requests", dict(kinds), f"{time.monotonic() - started:.1f} s")
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "MiB")


def _kind(line: str) -> str:
    method, _, url = line.partition(" ")
    path = url.partition("/devstoreaccount1/")[2]
    if path.startswith("$batch"):
        return "transaction"
    if path.startswith("incoming"):
        return f"{method} image"
    return f"{method} {'sidecar' if path.startswith('results/') else path.split('(')[0].split('/')[0].split('?')[0]}"


if __name__ == "__main__":
    with running(in_memory=True) as emulator:
        os.environ |= dict.fromkeys(("AzureWebJobsStorage", "ImageStorage"), emulator.connection_string)
        measure_cpu()
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
