"""Tests the app under storage errors, kills, overwrites and repeated events, and checks every image afterwards.

A dev host runs on its own Azurite, behind a proxy that disturbs 5 % of all calls, and is killed every few seconds while
images are uploaded, overwritten and deleted. When no work is left, an independent checker compares every blob with its
row, sidecar and index rows. See docs/reliability.md.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.classifier import load
from storage.settings import APP_ROOT, DEFAULTS
from tools.azurite.azurite import ACCOUNT, ACCOUNT_KEY, connection_string, running
from tools.chaos.checker import Checker
from tools.chaos.commands.decisions import Decisions
from tools.chaos.commands.run_command import run_command
from tools.chaos.faults import FaultKind, SeededFaults, ThrottledPeriods, refusing
from tools.chaos.host_process import host_environment, running_host
from tools.chaos.idle import IdleDetector
from tools.chaos.images import MAX_BYTES
from tools.chaos.plan import Action, plan
from tools.chaos.proxy import fault_proxy
from tools.chaos.storage_names import ARCHIVED, COPIED, DENIED, INCOMING, LOCKED, RESULTS
from tools.chaos.webjobs_process import running_webjobs
from tools.chaos.workload import Workload
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse
    from contextlib import AbstractContextManager

    from tools.chaos.check_result import CheckResult
    from tools.chaos.host_process import HostProcess
    from tools.chaos.webjobs_process import WebJobsProcess

_FAULT_SHARE = 0.05
_HANG_SHARE = 0.002
_IMAGES_PER_MINUTE = {"dev": 1000, "webjobs": 100}
_TIMEOUT_SECONDS = {"dev": 600.0, "webjobs": 1800.0}  # webjobs-host, killed, hides its messages for ten minutes
_ACCOUNTS = {"dev": None, "webjobs": {ACCOUNT: ACCOUNT_KEY}}
_RETRY_DELAYS = {"dev": "2,4,8", "webjobs": "1,5,15,30,60"}  # seconds instead of minutes; hangs need the longer ones
_REFUSED_PATHS = {
    f"/{ACCOUNT}/{INCOMING}/{prefix}": kind for prefix, kind in ((LOCKED, FaultKind.LOCKED), (DENIED, FaultKind.DENIED))
}
_MAX_PRINTED = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--images", type=int, default=2000, metavar="N", help="number of blobs (2000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of images, faults and kills (1)")
    parser.add_argument(
        "--host",
        choices=("dev", "webjobs"),
        default="dev",
        help="what runs the app: the dev host, or Microsoft's own trigger extensions (webjobs-host), where a run takes "
        "half an hour because they hide the messages of a killed host for ten minutes (dev)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="upload the images over M minutes (one per 1,000 images, with webjobs one per 100)",
    )
    parser.add_argument(
        "--decisions",
        action="store_true",
        help="change DECISION_BLOB every few seconds, apply each change by `decide`, and kill half of these runs",
    )
    parser.add_argument("--event-grid", action="store_true", help="queue an event per upload instead of polling")
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep the host's log in FILE")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.epilog = "example:\n  python -m tools chaos --images 500 --seed 7"


def run(args: argparse.Namespace) -> int:
    """Run once and print the report; 0 only if every image has exactly one correct row."""
    minutes = args.minutes if args.minutes is not None else args.images / _IMAGES_PER_MINUTE[args.host]
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        log = args.log or Path(scratch) / "host.log"
        log.write_bytes(b"")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds every ``with``, so that the host is stopped
        chaos = _ChaosRun(args.host, args.images, args.seed, minutes * 60, args.event_grid, args.decisions, log)
        report = chaos.report()
    if args.json:
        print(json.dumps(report, ensure_ascii=False), flush=True)
    else:
        _print_report(report)
    return 0 if report["passed"] else 1


@dataclass(frozen=True, slots=True)
class _ChaosRun:
    host: str
    images: int
    seed: int
    seconds: float
    event_grid: bool
    decisions: bool
    log: Path

    def report(self) -> dict[str, Any]:
        """Upload and kill, wait until idle, check, reconcile, check again, prune, check again."""
        steps = plan(self.images, self.seed, self.seconds)
        is_real = self.host == "webjobs"
        faults = SeededFaults(self.seed, _FAULT_SHARE, hang_share=_HANG_SHARE if is_real else 0.0)
        throttled = ThrottledPeriods(self.seed, faults)
        start = time.monotonic()
        with running(in_memory=True, accounts=_ACCOUNTS[self.host]) as azurite:
            direct = azurite.connection_string
            workload = Workload(direct, steps, event_grid=self.event_grid)
            workload.create_resources()
            idle = IdleDetector(
                direct,
                polling=not self.event_grid,
                running_triggers=lambda: workload.running_triggers,
                misses_uploads=is_real,
                timeout_seconds=_TIMEOUT_SECONDS[self.host],
            )
            select_fault = refusing(_REFUSED_PATHS, workload.with_triggers(throttled if is_real else faults))
            with fault_proxy(azurite.ports, select_fault) as proxy_ports:
                environ = host_environment(connection_string(proxy_ports), event_grid=self.event_grid)
                environ |= {"RETRY_DELAYS_SECONDS": _RETRY_DELAYS[self.host]}
                decisions = Decisions(direct, environ, self.seed) if self.decisions else None
                with self._running_host(environ) as host:
                    _progress(f"{self.images:,} images in {self.seconds:.0f} s; killing the host again and again ...")
                    with decisions.changing() if decisions else nullcontext():
                        workload.run()
                    _progress(f"All images are uploaded; {idle.backlog():,} deliveries are left ...")
                    if not is_real:
                        idle.wait_until_nearly_idle()
                    host.stop_kills()
                    if is_real:
                        faults.let_work_end()
                        throttled.stop()
                    _progress("Kills have stopped; waiting until no work is left ...")
                    idle.wait_until_idle()
                    seconds_until_idle = time.monotonic() - start
                    decided = decisions.apply() if decisions else 0
                    _progress("Checking ...")
                    missed = idle.unqueued_blobs()
                    explained = missed | {step.names[0] for step in steps if step.action is Action.EDIT}
                    uploaded = {name for step in steps if step.content_seed for name in step.names}
                    checker = _checker(direct, decisions)
                    first = checker.check(uploaded)
                    reconciled = _reconcile(environ)
                    idle.wait_until_idle()
                    redriven = _redrive(environ) if is_real else 0
                    idle.wait_until_idle()
                    decided += decisions.apply() if decisions else 0
                    second = checker.check(uploaded)
                    pruned = _reconcile(environ, "--prune")
                    third = checker.check(uploaded)
                    return {
                        "event": "summary",
                        "seed": self.seed,
                        "host": self.host,
                        "source": "EventGrid" if self.event_grid else "polling",
                        "seconds": round(seconds_until_idle),
                        "actions": {str(action): count for action, count in workload.done.items()},
                        "triggered": workload.triggered,
                        "calls": faults.calls,
                        "faults": {str(kind): faults.selected[kind] for kind in FaultKind},
                        "throttled": throttled.calls,
                        "kills": host.kills,
                        "worker_kills": host.worker_kills,
                        "decisions": decisions.changes if decisions else 0,
                        "decision_kills": decisions.kills if decisions else 0,
                        "decided_at_last": decided,
                        "crashes": host.crashes,
                        "host_ended": dict(Counter(host.exits)),
                        "events": dict(sorted(host.count_events().items())),
                        "images": first.images,
                        "statuses": dict(second.statuses),
                        "missed_uploads": len(missed),
                        "check": _findings(first),
                        "unexplained": sum(each.image not in explained for each in first.violations),
                        "reconciled": reconciled,
                        "redriven": redriven,
                        "check_after_reconcile": _findings(second),
                        "pruned": pruned,
                        "check_after_prune": _findings(third),
                        "passed": not (second.violations or third.violations or third.leftovers or host.crashes),
                    }

    def _running_host(self, environ: dict[str, str]) -> AbstractContextManager[HostProcess | WebJobsProcess]:
        run = running_webjobs if self.host == "webjobs" else running_host
        return run(environ, self.log, self.seed)


def _checker(connection: str, decisions: Decisions | None) -> Checker:
    with decisions.file() if decisions else nullcontext() as file:
        classifier = load(APP_ROOT / DEFAULTS["MODEL_DIR"], decision=file)
    return Checker(
        connection,
        incoming=INCOMING,
        results=RESULTS,
        classifier=classifier,
        max_bytes=MAX_BYTES,
        ignored_prefix=COPIED,
        refused={LOCKED: "unreadable", DENIED: "unreadable", ARCHIVED: "archived"},
    )


def _reconcile(environ: dict[str, str], *options: str) -> dict[str, Any]:
    """Run ``python -m tools reconcile`` through the proxy, and return its summary."""
    summary = run_command(environ, "reconcile", *options)
    return {name: summary[name] for name in ("missing", "stale", "repaired", "index_removed", "pruned")}


def _redrive(environ: dict[str, str]) -> int:
    """Run ``python -m tools redrive`` for the ``failed`` rows of images whose worker was killed five times."""
    return int(run_command(environ, "redrive")["enqueued"])


def _findings(result: CheckResult) -> dict[str, Any]:
    """Print the first violations to stderr; return the numbers."""
    for violation in result.violations[:_MAX_PRINTED]:
        line = f"{violation.kind:<20} {printable(violation.image)}  {printable(violation.detail)}"
        print(line, file=sys.stderr)
    return {"violations": dict(result.kinds), "leftovers": dict(result.leftovers)}


def _print_report(report: dict[str, Any]) -> None:
    """Print each value in a line after its name."""
    for name, value in report.items():
        text = str(value)
        if isinstance(value, dict):
            text = ", ".join(f"{key} {count}" for key, count in value.items() if count) or "nothing"
        print(f"{name:<22} {text}")


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
