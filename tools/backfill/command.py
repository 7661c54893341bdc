"""Classify what lies in the container and has no row for its content and model: what was there before the app came.

The result table is the only checkpoint: end it as you like, run it again, and it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from inference import classifier
from inference.errors import ConfigurationError
from inference.limits import Limits
from inference.resources.admission import Admission
from inference.resources.cpus import usable_cpus
from inference.resources.memory import budget_bytes, return_freed_memory
from storage.models.hot_swap import hot_swap_model
from storage.results.transactions import BatchedResults
from tools.account import open_account
from tools.backfill import display, progress, queue
from tools.backfill.counts import Counts
from tools.backfill.local_run import backfill_here
from tools.backfill.pipeline import Line
from tools.backfill.selection import Selection, to_do
from tools.backfill.summary import how_to_go_on, tell_summary
from tools.interrupt import INTERRUPTED, stop_requested
from tools.terminal import printable, quiet_loggers
from tools.times import parse_time

if TYPE_CHECKING:
    import threading

    from tools.account import Account


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    chosen = parser.add_argument_group("which images")
    chosen.add_argument("--prefix", metavar="P", help="names that begin with this")
    chosen.add_argument(
        "--glob", metavar="G", help="whole names that match, as '*/2026-??/*.jpg': * also matches /, and case counts"
    )
    chosen.add_argument(
        "--since", type=parse_time, metavar="TIME", help="blobs changed 7d, 1h, 30m ago or later, or since ISO 8601"
    )
    chosen.add_argument("--limit", type=_positive, metavar="N", help="work on no more than so many images")
    chosen.add_argument(
        "--force",
        type=parse_time,
        nargs="?",
        const=True,
        metavar="TIME",
        help="also those that are done; with a time, those judged before it (so an interrupted --force can go on)",
    )
    where = parser.add_argument_group("where the work is done")
    where.add_argument("--enqueue", action="store_true", help="send it to the app, by classify-requests, and return")
    where.add_argument("--watch", action="store_true", help="with --enqueue: wait until the app is done")
    parser.add_argument("--dry-run", action="store_true", help="say what there is to do, and change nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line; the summary comes last")
    parser.epilog = (
        "Ctrl+C finishes what is in flight; run the same command again to go on. Nothing is done twice.\n"
        "Exit 0: every image of the selection is classified, or sent. 1: some are rejected or failed, in this run or\n"
        "earlier. 2: misuse, settings or a model that are wrong. 130: interrupted.\n\n"
        "example:\n  python -m tools backfill --prefix site-a/ --glob '*.jpg' --since 30d --dry-run"
    )


def run(args: argparse.Namespace) -> int:
    """Backfill."""
    if args.watch and (not args.enqueue or args.dry_run or args.limit):
        raise ConfigurationError(
            "--watch follows what --enqueue sends, all of it: it needs --enqueue, and neither --dry-run nor --limit."
        )
    return_freed_memory()  # this process is ours
    started = datetime.now(UTC)
    with (
        quiet_loggers("storage.pipeline.classify_blob", "storage.pipeline.retries"),
        open_account() as wires,
        stop_requested(signal.SIGINT) as stopping,
    ):
        settings = wires.settings
        limits = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
        admission = Admission(budget_bytes(settings.decode_budget_mib))
        account = replace(wires, stores=replace(wires.stores, admit=admission.reserve_content))
        load = partial(
            classifier.load, top_k=settings.top_k, min_score=settings.min_score, limits=limits, admission=admission
        )
        model = hot_swap_model(settings, account.clients.blobs, load).current()
        selection = Selection(
            account.stores,
            settings.incoming_container,
            model.model.version,
            prefix=args.prefix,
            glob=args.glob,
            since=args.since,
            redo_before=started if args.force is True else args.force,
        )
        counts = Counts(display.tell_json if args.json else lambda _trouble: None)
        return _Run(args, account, model, selection, counts, stopping, started).to_its_end()


@dataclass(frozen=True, slots=True)
class _Run:
    """One backfill and all that it is made of."""

    args: argparse.Namespace
    account: Account
    model: classifier.Classifier
    selection: Selection
    counts: Counts
    stopping: threading.Event
    started: datetime

    def to_its_end(self) -> int:
        """Do what was asked for, tell what came of it, and return the exit code."""
        more: dict[str, Any] = {}
        complete = False
        try:
            if self.args.dry_run:
                more["to_do"] = self._look()
            elif self.args.enqueue:
                more |= self._enqueue()
            else:
                self._here()
            complete = not self.stopping.is_set()
        finally:
            # Also when a sentence about what stopped us is still to come.
            more |= {"dry_run": self.args.dry_run, "complete": complete}
            if self.args.json:
                print(json.dumps({"event": "summary", **self.counts.summary(), **more}), flush=True)
            else:
                tell_summary(self.counts, self.account.settings, self.args)
        if not complete:
            _say(how_to_go_on(self.args, self.selection.redo_before))
            return INTERRUPTED
        return 0 if self.counts.all_classified and not more.get("waiting") else 1

    def _look(self) -> dict[str, int]:
        """Print what there is to do, and count it by reason."""
        reasons: dict[str, int] = {}
        for found in to_do(self.selection, self.counts, self.args.limit, self.stopping):
            why = str(found.why)
            reasons[why] = reasons.get(why, 0) + 1
            if self.args.json:
                print(json.dumps({"event": "to_do", "image": found.image.blob_name, "why": why}), flush=True)
            else:
                print(f"{why:<8} {printable(found.image.blob_name)}", flush=True)
        return reasons

    def _enqueue(self) -> dict[str, Any]:
        queue.enqueue(self.selection, self.account.queue, self.counts, self.stopping, self.args.limit)
        if not self.args.watch or self.stopping.is_set():
            return {}
        look = queue.watch(self.selection, self.account.queue, self.counts, self.stopping, self.started)
        if look.waiting and not self.stopping.is_set():
            _say(
                f"The queue is empty, but {look.waiting:,} images are still without a result: does the app run? "
                "`python -m tools reconcile` sends them again."
            )
            if look.other_model:
                mine = f"{self.model.model.name} {self.model.model.version}"
                _say(f"Some were judged by {look.other_model}, and the settings here name {mine}.")
        return {"waiting": look.waiting}

    def _here(self) -> None:
        settings, identity = self.account.settings, self.model.model
        results = BatchedResults(
            self.account.clients, table=settings.results_table, container=settings.results_container
        )
        line = Line(self.account.stores, results, self.model, usable_cpus(), self.stopping, self.selection.redo_before)
        shows: progress.Shows
        if self.args.json:
            shows = display.JsonLines()
        elif sys.stderr.isatty():
            shows = display.Terminal(
                f"{settings.incoming_container} -> {settings.results_table}, by {identity.name} {identity.version}"
            )
        else:
            shows = display.Lines()
        total = progress.Total(self.selection, self.args.limit)
        try:
            with progress.shown(shows, lambda: progress.state(self.counts, total, line.limit, self.stopping)):
                backfill_here(self.selection, line, self.counts, self.args.limit)
        finally:
            total.close()


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of images: write 1 or more")
    return int(text)
