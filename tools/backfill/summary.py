"""Prints the summary of a backfill: its counts, the images with problems, and how to continue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.query.names import inside_container
from tools.terminal import fitted, printable

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from storage.settings import Settings
    from tools.backfill.counts import Counts


def print_summary(counts: Counts, settings: Settings, args: argparse.Namespace, *, complete: bool) -> None:
    """Print the summary on stdout.

    Args:
        counts: Of the run.
        settings: Of the deployment.
        args: The command's arguments.
        complete: Whether the whole container was listed; false after an error, an interruption, or
            where there is no container.
    """
    print(fitted(_headline(counts, args)))
    if complete and not counts.listed:
        _print_empty_selection(settings.incoming_container, args)
    for problem in counts.problems:
        reason = f"{problem.reason}: {problem.detail}" if problem.detail else problem.reason or ""
        print(fitted(f"  {problem.status:<9} {printable(problem.image)}  {printable(reason)}"))
    earlier = f", {counts.rejected_earlier:,} of them in earlier runs" if counts.rejected_earlier else ""
    if rejected := counts.rejected + counts.rejected_earlier:
        print(fitted(f"{rejected:,} rejected{earlier}: python -m tools query --status rejected"))
    if counts.damaged:
        print(fitted(f"{counts.damaged:,} classified by a part of the picture: python -m tools query --damaged"))
    if counts.archived:
        print(fitted(f"{counts.archived:,} in the archive tier: rehydrate them, then run this command again"))
    if counts.unreadable:
        remedy = "give the app access to them, then: python -m tools redrive --reason unreadable"
        print(fitted(f"{counts.unreadable:,} refused by storage: {remedy}"))
    if retried := counts.failed + counts.failed_earlier - counts.archived - counts.unreadable:
        print(fitted(f"{retried:,} failed; the next run retries them: python -m tools query --status failed"))
    if args.dry_run:
        print(fitted("This was a dry run: it changed nothing."))
    elif counts.done:
        where = f"table {settings.results_table}, sidecars in the container {settings.results_container}"
        print(fitted(f"Rows are in the {where}."))


def how_to_continue(args: argparse.Namespace, redo_before: datetime | None) -> str:
    """Return the sentence for an interrupted run.

    Args:
        args: The command's arguments.
        redo_before: With ``--force``, the time from which on results count.
    """
    if redo_before is not None:
        return f"To continue, run it again with --force {redo_before.isoformat()}."
    if args.watch:
        return "The app continues with the images that were sent. To watch it again, run the same command."
    return "To continue, run the same command again: no image is classified twice."


def _print_empty_selection(container: str, args: argparse.Namespace) -> None:
    print(fitted(f"The selection contains no image of the container {container}."))
    for option in ("prefix", "glob"):
        given = getattr(args, option)
        if given and (name := inside_container(given, container)) != given:
            print(fitted(f"Names are inside the container: did you mean --{option} '{printable(name)}'?"))


def _headline(counts: Counts, args: argparse.Namespace) -> str:
    parts = [f"{counts.listed:,} listed", f"{counts.skipped:,} skipped"]
    if args.dry_run:
        parts.append(f"{counts.pending:,} to do")
    if args.enqueue and not args.dry_run:
        parts.append(f"{counts.enqueued:,} enqueued")
    if counts.done or not (args.enqueue or args.dry_run):
        parts += [f"{getattr(counts, name):,} {name}" for name in ("classified", "rejected", "failed")]
    summary = counts.summary()
    rate = f", {summary['images_per_s']:.1f} images/s" if counts.done else ""
    return f"{', '.join(parts)}; {summary['seconds']:.1f} s{rate}"
