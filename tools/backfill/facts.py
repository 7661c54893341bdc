"""``backfill --facts``: adds capture facts to rows that have none. It reads headers by range and infers nothing.

A photo that states no facts gets none, so another run reads its first 64 KiB again. All others are skipped.
"""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from inference.capture.exif_facts import read_capture_facts
from inference.capture.find_exif import find_exif
from inference.decoding.header import read_header
from inference.errors import PermanentError, TransientError
from inference.predictions import CaptureFacts
from storage.results.amend import amend
from tools.backfill.selection import Reason
from tools.interrupt import INTERRUPTED
from tools.terminal import printable

if TYPE_CHECKING:
    from inference.limits import Limits
    from storage.pipeline.stores import Stores
    from storage.results.record import Image, Record
    from tools.backfill.selection import Selection

COLUMNS = ("taken_from", *(name for name in CaptureFacts._fields if name != "impossible_time"))
_THREADS = 16  # each waits for storage nearly all of the time
_WHOLE = frozenset({"tiff", "avif", "heif"})
_ONE_AT_A_TIME = threading.Lock()  # whole files take memory


@dataclass(slots=True)
class FactCounts:
    """What a run did.

    Attributes:
        listed: Images of the selection.
        skipped: They have facts, or no row of their content.
        filled: Their rows have facts now; with ``--dry-run``, would have.
        without_facts: They state none.
        failed: Storage failed.
    """

    listed: int = 0
    skipped: int = 0
    filled: int = 0
    without_facts: int = 0
    failed: int = 0


def fill_facts(  # noqa: PLR0913 - what a run depends on
    stores: Stores,
    selection: Selection,
    limits: Limits,
    stopping: threading.Event,
    *,
    limit: int | None = None,
    dry_run: bool = False,
    as_json: bool = False,
) -> int:
    """Add facts to the rows of the selection, print a summary, and return the exit code.

    Raises:
        TransientError: The listing failed.
        ConfigurationError: Storage refused a request.
    """
    counts = FactCounts()
    started = time.monotonic()
    fill = partial(_fill, stores, limits, dry_run=dry_run)
    complete = False
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            running: dict[Future[bool], Image] = {}
            begun = 0
            for found in selection:
                if stopping.is_set() or begun == limit:
                    break
                counts.listed += 1
                # The selection names no model, so MODEL means: the row is of the blob's content.
                if found.reason is not Reason.MODEL or found.record is None or _has_facts(found.record):
                    counts.skipped += 1
                    continue
                running[pool.submit(fill, found.record)] = found.image
                begun += 1
                if len(running) >= 4 * _THREADS:
                    _collect(running, counts, as_json=as_json)
            while running:
                _collect(running, counts, as_json=as_json)
        complete = not stopping.is_set()
    finally:
        _print_summary(counts, time.monotonic() - started, complete=complete, dry_run=dry_run, as_json=as_json)
    return 1 if counts.failed else 0 if complete else INTERRUPTED


def _has_facts(record: Record) -> bool:
    return any(getattr(record, name) is not None for name in COLUMNS)


def _collect(running: dict[Future[bool], Image], counts: FactCounts, *, as_json: bool) -> None:
    """Count the images that have ended since the last call; wait for one."""
    ended, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in ended:
        image = running.pop(future)
        try:
            filled = future.result()
        except TransientError as error:
            counts.failed += 1
            if as_json:
                print(json.dumps({"event": "failed", "image": image.blob_name, "detail": str(error)}), flush=True)
            else:
                print(f"failed   {printable(image.blob_name)}: {error}", flush=True)
        else:
            counts.filled += filled
            counts.without_facts += not filled


def _fill(stores: Stores, limits: Limits, record: Record, *, dry_run: bool) -> bool:
    """Add the facts of one image; return whether there are any."""
    try:
        facts = _read_facts(stores, limits, record)
    except FileNotFoundError:  # deleted or overwritten: the app gets its event
        return False
    has_facts = _has_facts(stores.capture.add(record, facts))
    if dry_run or not has_facts:
        return has_facts
    return amend(stores.results, record.image, record.etag, lambda whole: stores.capture.add(whole, facts)) is not None


def _read_facts(stores: Stores, limits: Limits, record: Record) -> CaptureFacts | None:
    """Read the facts through ranges; of a format whose block has no fixed place, from the whole file."""
    read = partial(stores.source.read_range, record.image, record.etag)
    if record.format not in _WHOLE:
        return read_capture_facts(find_exif(read))
    with _ONE_AT_A_TIME:
        content = read(0, limits.max_bytes)
        try:
            return read_header(content, limits).info.capture
        except PermanentError as error:
            return error.image.capture if error.image else None


def _print_summary(counts: FactCounts, seconds: float, *, complete: bool, dry_run: bool, as_json: bool) -> None:
    if not as_json:
        print(
            f"{counts.listed:,} images: {counts.filled:,} rows {'lack facts' if dry_run else 'have facts now'}, "
            f"{counts.without_facts:,} photos state none, {counts.skipped:,} skipped, {counts.failed:,} failed, "
            f"in {seconds:.1f} s"
        )
        return
    rate = (counts.filled + counts.without_facts) / seconds if seconds else 0.0
    summary = {
        "event": "summary",
        **asdict(counts),
        "classified": 0,
        "rejected": 0,
        "enqueued": 0,
        "seconds": round(seconds, 3),
        "images_per_s": round(rate, 3),
        "dry_run": dry_run,
        "complete": complete,
    }
    print(json.dumps(summary), flush=True)
