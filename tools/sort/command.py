"""Copy images into a folder for each label, in another container of the account.

Storage copies by itself: no image comes to this machine. The images in the incoming container stay where they are. A
label that a person gave in a review counts before the model's.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from storage.blob_folder import CONTAINER
from tools.account import open_account
from tools.interrupt import INTERRUPTED, stop_requested
from tools.query.filters import add_filters, read_filter
from tools.query.names import nothing_matches, understood
from tools.query.progress import RowProgress
from tools.query.reviews import add_review_filters, reviewed_query
from tools.sort.copies import Copies, Done, Result
from tools.sort.places import folder_of, place_of
from tools.terminal import fitted, printable

if TYPE_CHECKING:
    import argparse
    import threading
    from collections.abc import Iterable

    from storage.reviews.join import ReviewedRow
    from storage.settings import Settings

_WORDS = {
    Result.COPIED: "copied",
    Result.PRESENT: "were there already",
    Result.GONE: "are deleted",
    Result.CHANGED: "have another content than their row",
    Result.ARCHIVED: "are in the archive tier: rehydrate them, then run again",
    Result.OCCUPIED: "found another blob in their place",
    Result.FAILED: "failed",
}
_COMPLETE = {Result.COPIED, Result.PRESENT}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--by", choices=["label"], default="label", help="what the folders are named for (label)")
    parser.add_argument("--to", required=True, metavar="CONTAINER", help="the container to copy to; created if missing")
    parser.add_argument("--dry-run", action="store_true", help="print the folders and their images, and copy nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line; the summary comes last")
    add_filters(parser)
    add_review_filters(parser)
    parser.epilog = (
        "An image named site-a/1.jpg with the label fox is copied to fox/site-a/1.jpg. One without a label is left\n"
        "out. One whose label has changed since an earlier run gets a second copy, and the first copy stays.\n"
        "Ctrl+C ends the copies in progress. Run the command again to continue: copies that are there are skipped.\n"
        "Exit 0: every image with a label is there. 1: some are not. 2: misuse. 130: interrupted.\n\n"
        "examples:\n"
        "  python -m tools sort --by label --to sorted --dry-run\n"
        "  python -m tools sort --by label --to foxes --label fox --min-score 0.8"
    )


def run(args: argparse.Namespace) -> int:
    """Copy the selected images."""
    with open_account() as account, stop_requested(signal.SIGINT) as stopping:
        _check_target(args.to, account.settings)
        row_filter = understood(read_filter(args, account.settings.incoming_container), account)
        sorting = _Sorting(args, stopping)
        complete = False
        with RowProgress(as_json=args.json, stage="read") as progress:
            sorting.progress = progress
            try:
                rows = progress.counted(reviewed_query(account, row_filter, args.selection).rows())
                with Copies(account.clients.blobs, args.to, stopping) as copies:
                    sorting.copy(rows, copies)
                complete = not stopping.is_set()
                if complete and not progress.rows:
                    progress.report(nothing_matches(account, row_filter))
            finally:  # also before an error is reported
                sorting.complete = complete
    sorting.print_summary()
    if not complete:
        return INTERRUPTED
    return 0 if sorting.counts.keys() <= _COMPLETE else 1


def _check_target(container: str, settings: Settings) -> None:
    """Refuse a container where copies would be classified again, or taken for something else.

    Raises:
        ConfigurationError: It is one.
    """
    if not CONTAINER.fullmatch(container):
        raise ConfigurationError(
            "--to must be a container name: 3 to 63 lower-case letters, digits and single dashes, none at the ends."
        )
    uses = {
        settings.results_container: "holds the sidecars (RESULTS_CONTAINER)",
        **{folder.container: "holds a model (MODEL_BLOB)" for folder in settings.model_blobs},
        settings.incoming_container: "is INCOMING_CONTAINER, so each copy would be classified as an upload",
    }
    if container in uses:
        raise ConfigurationError(f"--to {container}: this container {uses[container]}. Name another one.")


@dataclass(slots=True)
class _Sorting:
    """One run, its counts and its output."""

    args: argparse.Namespace
    stopping: threading.Event
    progress: RowProgress | None = None
    complete: bool = False
    left_out: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    counts: Counter[Result] = field(default_factory=Counter)

    def copy(self, rows: Iterable[ReviewedRow], copies: Copies) -> None:
        """Copy the images of the rows, or only count them."""
        for row in rows:
            if self.stopping.is_set():
                break
            if row.label is None:
                self.left_out += 1
                continue
            self.labels[row.label] += 1
            place = place_of(row.record.image, row.label)
            if place is None:
                self._end(Done(row.record, Result.FAILED, "no URL can name a blob with a part `.` or `..`."))
            elif not self.args.dry_run:
                for done in copies.add(row.record, place):
                    self._end(done)
        for done in copies.finish():
            self._end(done)

    def _end(self, done: Done) -> None:
        """Count the result of one image, and print it where there is no copy."""
        self.counts[done.result] += 1
        if not done.detail:
            return
        if self.args.json:
            event = {"event": "not_copied", "image": done.record.blob_name, "reason": done.result}
            print(json.dumps({**event, "detail": done.detail}), flush=True)
        elif self.progress is not None:
            self.progress.report(fitted(f"{printable(done.record.blob_name)}: {done.detail}", sys.stderr))

    def print_summary(self) -> None:
        """Print the folders, then the numbers."""
        by_number = sorted(self.labels.items(), key=lambda item: (-item[1], item[0]))
        assert self.progress is not None
        if self.args.json:
            for label, number in by_number:
                event = {"event": "folder", "label": label, "folder": folder_of(label), "images": number}
                print(json.dumps(event), flush=True)
            summary = {
                "event": "summary",
                "container": self.args.to,
                "rows": self.progress.rows,
                "labels": len(self.labels),
                **{result.value: self.counts[result] for result in Result},
                "left_out": self.left_out,
                "seconds": round(self.progress.seconds, 3),
                "dry_run": self.args.dry_run,
                "complete": self.complete,
            }
            print(json.dumps(summary), flush=True)
            return
        for label, number in by_number:
            print(fitted(f"{number:>11,}  {printable(folder_of(label))}/"))
        for result, words in _WORDS.items():
            if self.counts[result]:
                print(fitted(f"{self.counts[result]:>11,}  {words}"))
        if self.left_out:
            print(fitted(f"{self.left_out:>11,}  have no label and are left out"))
        if self.args.dry_run:
            print("Nothing was copied: this was a dry run.")
        elif not self.complete:
            print("Interrupted: run the command again to continue.", file=sys.stderr, flush=True)
