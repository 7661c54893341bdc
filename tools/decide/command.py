"""Decide labels again by a changed decision.json, from the scores that the sidecars keep.

No image is read and nothing is inferred. A table shows what changes before the first row is written.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from inference import classifier
from inference.predictions import DECISION_FILE
from storage.models.hot_swap import HotSwapModel
from storage.query.stored_rows import stored_rows
from tools.account import open_account
from tools.decide.decisions import Counts, Decisions, Left
from tools.decide.kept_rows import KeptRows
from tools.decide.run import Run, grouping_results
from tools.interrupt import INTERRUPTED, stop_requested
from tools.query.filters import add_filters, read_filter
from tools.query.names import understood
from tools.query.progress import RowProgress
from tools.terminal import fitted, printable

if TYPE_CHECKING:
    import argparse
    import threading

    from storage.query.plan import Filter
    from storage.results.record import Image
    from tools.account import Account

_SHOWN = 20  # lines of the table
_LEFT = {
    Left.SKIPPED: "have this decision already",
    Left.NOT_CLASSIFIED: "are rejected or failed",
    Left.OTHER_MODEL: "are of another model: set MODEL_DIR or MODEL_BLOB to it, or run `python -m tools backfill`",
    Left.WITHOUT_SCORES: "have no scores in their sidecar: `python -m tools backfill --force` classifies them again",
    Left.IN_PROGRESS: "were written by an upload meanwhile",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--decision",
        type=Path,
        metavar="FILE",
        help=f"rules to use instead of DECISION_BLOB or the {DECISION_FILE} in the model's folder",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would change, and write nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line; the summary comes last")
    add_filters(parser)
    parser.epilog = (
        f"Without a {DECISION_FILE} rows get the model's own label back.\n"
        "Ctrl+C finishes the rows in progress. Run the command again to continue: decided rows are skipped.\n"
        "Exit 0: every row of the model is decided. 1: some have no scores, or storage failed. 2: misuse, or rules\n"
        "that cannot be used. 130: interrupted.\n\n"
        "examples:\n"
        "  python -m tools decide --dry-run\n"
        "  python -m tools decide --decision new.json --folder site-a --dry-run"
    )


def run(args: argparse.Namespace) -> int:
    """Decide the selected rows."""
    with open_account() as account, stop_requested(signal.SIGINT) as stopping:
        row_filter = understood(read_filter(args, account.settings.incoming_container), account)
        decisions, of_app = _decisions(account, args.decision)
        code = _Command(args, account, row_filter, decisions, stopping).run()
    if of_app != decisions.version and not args.dry_run:
        named = f"other rules, version {of_app}" if of_app else "no rules"
        _report(
            f"The settings name {named}, so the app decides uploads otherwise: put these rules, version "
            f"{decisions.version}, into DECISION_BLOB or the model's folder."
        )
    return code


def _decisions(account: Account, file: Path | None) -> tuple[Decisions, str | None]:
    """The decisions to make, and the version of the rules that the settings name.

    Raises:
        ModelError: The model or the rules cannot be used.
    """
    settings = account.settings
    load = partial(classifier.load, top_k=settings.top_k, min_score=settings.min_score)
    model = HotSwapModel.from_settings(settings, account.clients.blobs, load).current()
    of_app = model.decision.version if model.decision else None
    rules = model.decision if file is None else classifier.read_rules(file, model.spec)
    return Decisions(model.model.version, rules, settings.min_score), of_app


@dataclass(slots=True)
class _Command:
    """One run with everything that it needs."""

    args: argparse.Namespace
    account: Account
    row_filter: Filter
    decisions: Decisions
    stopping: threading.Event

    def run(self) -> int:
        """Run it, print its summary, and return the exit code."""
        started = time.monotonic()
        counts = Counts()
        complete = False
        try:
            actions = self.account.stores.actions
            self._run(Run(self.decisions, counts, self.stopping, self._print_failure, actions))
            complete = not self.stopping.is_set()
        finally:  # also before an error is reported
            self._print_summary(counts, time.monotonic() - started, complete=complete)
        if not complete:
            return INTERRUPTED
        return 1 if counts.failed or counts.left[Left.WITHOUT_SCORES] else 0

    def _run(self, run: Run) -> None:
        settings, clients = self.account.settings, self.account.clients
        rows = stored_rows(clients.tables, settings.results_table, self.row_filter)
        with KeptRows() as keep:
            with RowProgress(as_json=self.args.json, stage="read") as progress:
                run.read(self.account.stores.results, progress.counted(rows), None if self.args.dry_run else keep)
            if self.stopping.is_set():
                return
            self._print_table(run.counts)
            if self.args.dry_run:
                run.counts.decided = run.counts.labels.total()
                run.counts.changed = sum(n for (before, after), n in run.counts.labels.items() if before != after)
                return
            results = grouping_results(clients, table=settings.results_table, container=settings.results_container)
            with RowProgress(as_json=self.args.json, stage="written") as progress:
                run.write(results, progress.counted(keep))

    def _print_table(self, counts: Counts) -> None:
        """Print how many rows change from which label to which, the most first."""
        changes = [(number, *labels) for labels, number in counts.labels.items() if labels[0] != labels[1]]
        changes.sort(key=lambda change: (-change[0], *change[1:]))
        if self.args.json:
            for number, before, after in changes:
                event = {"event": "change", "from": before, "to": after, "images": number}
                print(json.dumps(event), flush=True)
            return
        for number, before, after in changes[:_SHOWN]:
            print(fitted(f"{number:>11,}  {printable(before)} -> {printable(after)}"))
        if len(changes) > _SHOWN:
            others = sum(number for number, *_ in changes[_SHOWN:])
            print(fitted(f"{others:>11,}  in {len(changes) - _SHOWN:,} other changes"))
        same = counts.labels.total() - sum(number for number, *_ in changes)
        if same:
            print(fitted(f"{same:>11,}  keep their label"))
        sys.stdout.flush()

    def _print_summary(self, counts: Counts, seconds: float, *, complete: bool) -> None:
        if self.args.json:
            summary = {
                "event": "summary",
                "decision_version": self.decisions.version,
                "listed": counts.listed,
                "decided": counts.decided,
                "changed": counts.changed,
                **{left.value: counts.left[left] for left in Left},
                "failed": counts.failed,
                "seconds": round(seconds, 3),
                "images_per_s": round(counts.decided / seconds, 3) if seconds else 0.0,
                "dry_run": self.args.dry_run,
                "complete": complete,
            }
            print(json.dumps(summary), flush=True)
            return
        verb = "would be" if self.args.dry_run else "are"
        print(
            fitted(
                f"{counts.listed:,} rows: {counts.decided:,} {verb} decided, {counts.changed:,} of them with another "
                f"label, {counts.failed:,} failed, in {seconds:.1f} s."
            )
        )
        for left, words in _LEFT.items():
            if counts.left[left]:
                print(fitted(f"{counts.left[left]:>11,}  {words}"))
        if not complete:
            _report("Interrupted: run the command again to continue.")

    def _print_failure(self, image: Image, sentence: str) -> None:
        if self.args.json:
            print(json.dumps({"event": "failed", "image": image.blob_name, "detail": sentence}), flush=True)
        else:
            _report(f"failed   {printable(image.blob_name)}: {sentence}")


def _report(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
