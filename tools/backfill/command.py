"""``python -m tools backfill``: classifies images that have no result for their content and model.

The result table is the only checkpoint: a run that was ended in any way continues when it is started again.
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
from inference.errors import ConfigurationError, TransientError
from inference.limits import Limits
from inference.resources.admission import Admission
from inference.resources.cpus import usable_cpus
from inference.resources.memory import budget_bytes, return_freed_memory
from storage.models.hot_swap import HotSwapModel
from storage.results.transactions import BatchedResults
from tools.account import no_container, open_account
from tools.backfill import facts, queue
from tools.backfill.counts import Counts
from tools.backfill.display import JsonLines, Lines, Terminal, print_json
from tools.backfill.local_run import run_locally
from tools.backfill.pipeline import Pipeline
from tools.backfill.progress import Display, Total, displayed, progress
from tools.backfill.selection import Selection, pending
from tools.backfill.summary import how_to_continue, print_summary
from tools.interrupt import INTERRUPTED, stop_requested
from tools.terminal import printable, quiet_loggers
from tools.times import parse_time

if TYPE_CHECKING:
    import threading

    from tools.account import Account


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    images = parser.add_argument_group("images")
    images.add_argument("--prefix", metavar="P", help="take only names that begin with P")
    images.add_argument(
        "--glob",
        metavar="G",
        help="take only names that match as a whole, such as '*/2026-??/*.jpg'; * also matches /, and case matters",
    )
    images.add_argument(
        "--exclude", metavar="G", action="append", default=[], help="leave out names that match; may be repeated"
    )
    images.add_argument(
        "--since", type=parse_time, metavar="TIME", help="take only blobs changed since 7d, 1h, 30m or an ISO 8601 time"
    )
    images.add_argument("--limit", type=_positive, metavar="N", help="classify at most N images")
    images.add_argument(
        "--force",
        type=parse_time,
        nargs="?",
        const=True,
        metavar="TIME",
        help="classify images again that have a result; with TIME, only results from before (to continue a --force)",
    )
    place = parser.add_argument_group("by the app")
    place.add_argument("--enqueue", action="store_true", help="send the images to the app through classify-requests")
    place.add_argument("--watch", action="store_true", help="with --enqueue: wait until the app has finished")
    parser.add_argument(
        "--facts",
        action="store_true",
        help="only add capture facts (time, camera, temperature) to rows that have none; infers nothing",
    )
    parser.add_argument("--dry-run", action="store_true", help="list the images and reasons, and change nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line, the summary last")
    parser.epilog = (
        "Ctrl+C finishes the images in progress. Run the command again to continue: no image is classified twice.\n"
        "Exit 0: every image of the selection is classified, or sent. 1: some are rejected or failed, in this run or\n"
        "earlier. 2: misuse, invalid settings or model. 130: interrupted.\n\n"
        "example:\n  python -m tools backfill --prefix site-a/ --glob '*.jpg' --since 30d --dry-run"
    )


def run(args: argparse.Namespace) -> int:
    """Classify or enqueue the selection."""
    if args.watch and (not args.enqueue or args.dry_run or args.limit):
        raise ConfigurationError("--watch needs --enqueue, and neither --dry-run nor --limit.")
    if args.facts:
        return _fill_facts(args)
    return_freed_memory()  # no other code runs in this process
    started = datetime.now(UTC)
    with (
        quiet_loggers("storage.pipeline.outcome", "storage.pipeline.retries"),
        open_account() as opened,
        stop_requested(signal.SIGINT) as stopping,
    ):
        settings = opened.settings
        limits = Limits(
            max_bytes=settings.max_image_bytes,
            max_pixels=settings.max_image_pixels,
            accept_damaged=settings.accepts_damaged,
        )
        admission = Admission(budget_bytes(settings.decode_budget_mib))
        load = partial(
            classifier.load, top_k=settings.top_k, min_score=settings.min_score, limits=limits, admission=admission
        )
        models = HotSwapModel.from_settings(settings, opened.clients.blobs, load)
        model = models.current()
        stores = replace(opened.stores, admit=admission.reserve_content, is_current_model=models.is_current)
        account = replace(opened, stores=stores)
        selection = Selection(
            account.stores,
            settings.incoming_container,
            model.model.version,
            prefix=args.prefix,
            glob=args.glob,
            exclude=tuple(args.exclude),
            since=args.since,
            redo_before=started if args.force is True else args.force,
        )
        counts = Counts(print_json if args.json else lambda _problem: None)
        return _Backfill(args, account, model, selection, counts, stopping, started).run()


def _fill_facts(args: argparse.Namespace) -> int:
    """Add capture facts to the rows of the selection."""
    if args.enqueue or args.force:
        raise ConfigurationError("--facts goes with neither --enqueue nor --force.")
    with open_account() as account, stop_requested(signal.SIGINT) as stopping:
        settings = account.settings
        selection = Selection(
            account.stores,
            settings.incoming_container,
            "",  # no model: every row of a blob's content is another model's
            prefix=args.prefix,
            glob=args.glob,
            exclude=tuple(args.exclude),
            since=args.since,
            columns=("format", *facts.COLUMNS),
        )
        limits = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
        return facts.fill_facts(
            account.stores,
            selection,
            limits,
            stopping,
            limit=args.limit,
            dry_run=args.dry_run,
            as_json=args.json,
        )


@dataclass(frozen=True, slots=True)
class _Backfill:
    """One run with everything that it needs."""

    args: argparse.Namespace
    account: Account
    model: classifier.Classifier
    selection: Selection
    counts: Counts
    stopping: threading.Event
    started: datetime

    def run(self) -> int:
        """Run it, print its summary, and return the exit code."""
        extra: dict[str, Any] = {}
        complete = exists = False
        try:
            if self.args.dry_run:
                extra["to_do"] = self._list()
            elif self.args.enqueue:
                extra |= self._enqueue()
            else:
                self._classify()
            complete = not self.stopping.is_set()
            exists = self.counts.listed > 0 or self.account.stores.source.has_container(self._container)
        finally:
            # Also before an error is reported.
            extra |= {"dry_run": self.args.dry_run, "complete": complete}
            if self.args.json:
                print(json.dumps({"event": "summary", **self.counts.summary(), **extra}), flush=True)
            else:
                print_summary(self.counts, self.account.settings, self.args, complete=complete and exists)
        if not complete:
            _report(how_to_continue(self.args, self.selection.redo_before))
            return INTERRUPTED
        if not exists:
            _report(no_container(self._container))
        if not self.args.dry_run and not self.args.enqueue and self._is_model_replaced():
            _report("Another version of the model was published during this run: run the command again.")
            return 1
        return 0 if self.counts.all_classified and not extra.get("waiting") else 1

    @property
    def _container(self) -> str:
        return self.account.settings.incoming_container

    def _is_model_replaced(self) -> bool:
        try:
            return self.account.stores.is_current_model(self.model.model.version) is False
        except TransientError:  # the work is done; storage just cannot say
            return False

    def _list(self) -> dict[str, int]:
        """Print the images that have to be classified, and count them by reason."""
        reasons: dict[str, int] = {}
        for found in pending(self.selection, self.counts, self.args.limit, self.stopping):
            reason = str(found.reason)
            reasons[reason] = reasons.get(reason, 0) + 1
            if self.args.json:
                print(json.dumps({"event": "to_do", "image": found.image.blob_name, "why": reason}), flush=True)
            else:
                print(f"{reason:<8} {printable(found.image.blob_name)}", flush=True)
        return reasons

    def _enqueue(self) -> dict[str, Any]:
        queue.enqueue(self.selection, self.account.queue, self.counts, self.stopping, self.args.limit)
        if not self.args.watch or self.stopping.is_set():
            return {}
        scan = queue.watch(self.selection, self.account.queue, self.counts, self.stopping, self.started)
        if scan.waiting and not self.stopping.is_set():
            _report(
                f"The queue is empty, but {scan.waiting:,} images have no result. Check that the app runs. "
                "`python -m tools reconcile` sends them again."
            )
            if scan.other_model:
                model = f"{self.model.model.name} {self.model.model.version}"
                _report(f"The app classified some with {scan.other_model}, but the settings here name {model}.")
        return {"waiting": scan.waiting}

    def _classify(self) -> None:
        settings = self.account.settings
        results = BatchedResults(
            self.account.clients, table=settings.results_table, container=settings.results_container
        )
        pipeline = Pipeline(
            self.account.stores, results, self.model, usable_cpus(), self.stopping, self.selection.redo_before
        )
        total = Total(self.selection, self.args.limit)
        try:
            with displayed(
                self._display(), lambda: progress(self.counts, total, pipeline.slowest_stage(), self.stopping)
            ):
                run_locally(self.selection, pipeline, self.counts, self.args.limit)
        finally:
            total.close()

    def _display(self) -> Display:
        if self.args.json:
            return JsonLines()
        if sys.stderr.isatty():
            settings, model = self.account.settings, self.model.model
            title = f"{settings.incoming_container} -> {settings.results_table}, by {model.name} {model.version}"
            return Terminal(title)
        return Lines()


def _report(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of images from 1 on")
    return int(text)
