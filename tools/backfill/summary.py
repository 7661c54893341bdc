"""What a person reads when a backfill has ended: what became of how many, which ones need a look, and how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.terminal import printable

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from storage.settings import Settings
    from tools.backfill.counts import Counts


def tell_summary(counts: Counts, settings: Settings, args: argparse.Namespace) -> None:
    """Print the summary on stdout.

    Args:
        counts: What came of the run.
        settings: Where it was.
        args: What was asked for.
    """
    print(_headline(counts, args))
    if not counts.listed:
        print(f"No image of the container {settings.incoming_container} is in the selection.")
    _tell_troubles(counts)
    if args.dry_run:
        print("Nothing was changed: this was a dry run.")
    elif counts.done:
        where = f"table {settings.results_table}, sidecars in the container {settings.results_container}"
        print(f"Rows are in the {where}.")


def how_to_go_on(args: argparse.Namespace, redo_before: datetime | None) -> str:
    """Return the sentence for somebody who interrupted a run.

    Args:
        args: What was asked for.
        redo_before: Of a run that was forced: judgements older than this were not enough.
    """
    if redo_before is not None:
        return f"To go on, run it again with --force {redo_before.isoformat()}."
    if args.watch:
        return "What was sent is worked on without us. To go on watching, run the same command again."
    return "To go on, run the same command again: nothing is done twice."


def _headline(counts: Counts, args: argparse.Namespace) -> str:
    said = [f"{counts.listed:,} listed", f"{counts.skipped:,} skipped"]
    if args.dry_run:
        said.append(f"{counts.to_do:,} to do")
    if args.enqueue and not args.dry_run:
        said.append(f"{counts.enqueued:,} enqueued")
    if counts.done or not (args.enqueue or args.dry_run):
        said += [f"{getattr(counts, name):,} {name}" for name in ("classified", "rejected", "failed")]
    facts = counts.summary()
    rate = f", {facts['images_per_s']:.1f} images/s" if counts.done else ""
    return f"{', '.join(said)}; {facts['seconds']:.1f} s{rate}"


def _tell_troubles(counts: Counts) -> None:
    for trouble in counts.troubles:
        why = f"{trouble.reason}: {trouble.detail}" if trouble.detail else trouble.reason or ""
        print(f"  {trouble.status:<9} {printable(trouble.image)}  {printable(why)}")
    earlier = f", {counts.rejected_earlier:,} of them in earlier runs" if counts.rejected_earlier else ""
    rejected = counts.rejected + counts.rejected_earlier
    if rejected:
        print(f"{rejected:,} rejected{earlier}: python -m tools query --status rejected")
    if counts.failed:
        print(f"{counts.failed:,} failed, and tried again by the next run: python -m tools query --status failed")
