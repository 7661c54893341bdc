"""Prove the promise under fire: faults between app and storage, kills, overwrites, repeated events; then check it all.

A host is run on an Azurite of its own, through a proxy that spoils one call in twenty, and killed every few seconds,
while images come, change and go. When everything is quiet, an independent checker compares every blob with its row,
sidecar and index rows. See docs/reliability.md.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.classifier import load
from storage.settings import APP_ROOT, DEFAULTS
from tools.azurite.azurite import connection_string, running
from tools.chaos.checker import Checker, Verdict
from tools.chaos.faults import Fault, SeededFaults
from tools.chaos.host_process import environment, suffering
from tools.chaos.idle import Quiet
from tools.chaos.images import MAX_BYTES
from tools.chaos.proxy import between
from tools.chaos.workload import COPIED, INCOMING, RESULTS, Feed, plan
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

    from tools.azurite.azurite import Ports

_FAULT_SHARE = 0.05
_IMAGES_PER_MINUTE = 1000
_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--images", type=int, default=2000, metavar="N", help="how many blobs (2000)")
    parser.add_argument("--seed", type=int, default=1, help="chooses images, faults and kills (1)")
    parser.add_argument("--minutes", type=float, metavar="M", help="how long images keep coming (a minute for 1,000)")
    parser.add_argument("--event-grid", action="store_true", help="events are pushed; nobody scans")
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep what the host said")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.epilog = "example:\n  python -m tools chaos --images 500 --seed 7"


def run(args: argparse.Namespace) -> int:
    """Run once; 0 only if every image ended in one truthful row."""
    minutes = args.minutes if args.minutes is not None else args.images / _IMAGES_PER_MINUTE
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        log = args.log or Path(scratch) / "host.log"
        log.write_bytes(b"")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every ``with``: the host must not be left
        report = _Run(args.images, args.seed, minutes * 60, args.event_grid, log).go()
    if args.json:
        print(json.dumps(report, ensure_ascii=False), flush=True)
    else:
        _show(report)
    return 0 if report["holds"] else 1


@dataclass(frozen=True, slots=True)
class _Run:
    images: int
    seed: int
    seconds: float
    event_grid: bool
    log: Path

    def go(self) -> dict[str, Any]:
        steps = plan(self.images, self.seed, self.seconds)
        faults = SeededFaults(self.seed, _FAULT_SHARE)
        began = time.monotonic()
        with running(in_memory=True) as azurite:
            direct = azurite.connection_string
            feed = Feed(direct, steps, event_grid=self.event_grid)
            feed.prepare()
            quiet = Quiet(direct, scanned=not self.event_grid, others=lambda: feed.under_way)
            with (
                between(azurite.ports, feed.watching(faults)) as fronts,
                suffering(self._environ(fronts), self.log, self.seed) as victim,
            ):
                _say(f"{self.images:,} images in {self.seconds:.0f} s; killing the host every few seconds ...")
                feed.run()
                _say(f"All came; {quiet.backlog():,} deliveries are still due ...")
                quiet.wait_until_little()
                victim.spare()
                _say("No more kills; waiting until nothing is in flight ...")
                quiet.wait_until_settled()
                settled_after = time.monotonic() - began
                checker = Checker(
                    direct,
                    incoming=INCOMING,
                    results=RESULTS,
                    classifier=load(APP_ROOT / DEFAULTS["MODEL_DIR"]),
                    max_bytes=MAX_BYTES,
                    passed_over=COPIED,
                )
                ever = {name for step in steps if step.content_seed for name in step.names}
                _say("Checking ...")
                alone = checker.check(ever)
                healed = _reconciled(self._environ(fronts))
                quiet.wait_until_settled()
                final = checker.check(ever)
                pruned = _reconciled(self._environ(fronts), "--prune")
                last = checker.check(ever)
                return {
                    "event": "summary",
                    "seed": self.seed,
                    "source": "EventGrid" if self.event_grid else "polling",
                    "seconds": round(settled_after),
                    "done": {str(act): count for act, count in feed.done.items()},
                    "ambushes": feed.ambushes,
                    "calls": faults.calls,
                    "faults": {str(fault): faults.chosen[fault] for fault in Fault},
                    "kills": victim.kills,
                    "deaths": victim.deaths,
                    "deliveries": dict(sorted(victim.told().items())),
                    "images": alone.images,
                    "statuses": dict(final.statuses),
                    "alone": _findings(alone),
                    "reconciled": healed,
                    "after": _findings(final),
                    "pruned": pruned,
                    "in_the_end": _findings(last),
                    "holds": not final.wrong and not last.wrong and not last.remains and not victim.deaths,
                }

    def _environ(self, fronts: Ports) -> dict[str, str]:
        return environment(connection_string(fronts), event_grid=self.event_grid)


def _reconciled(environ: dict[str, str], *options: str) -> dict[str, Any]:
    """Run ``reconcile`` as a person does, through the same faults; its summary."""
    command = [sys.executable, "-m", "tools", "reconcile", "--json", *options]
    for _ in range(5):  # a fault may be one too many for it: a person runs it again, the timer comes again
        done = subprocess.run(command, cwd=APP_ROOT, env=environ, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return {name: summary[name] for name in ("missing", "stale", "repaired", "index_removed", "pruned")}
    raise SystemExit(f"reconcile failed: {done.stderr}")


def _findings(verdict: Verdict) -> dict[str, Any]:
    for wrong in verdict.wrong[:_SHOWN]:
        print(f"{wrong.kind:<20} {printable(wrong.image)}  {printable(wrong.detail)}", file=sys.stderr)
    return {"wrong": dict(verdict.kinds), "remains": dict(verdict.remains)}


def _show(report: dict[str, Any]) -> None:
    """Print the report as lines of name and value."""
    for name, value in report.items():
        if isinstance(value, dict):
            told = ", ".join(f"{key} {count}" for key, count in value.items() if count) or "nothing"
        else:
            told = str(value)
        print(f"{name:<12} {told}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
