"""What the work on an image depends on: source blobs, results, a memory limit and a clock."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from storage.actions.after_commit import Actions
from storage.pipeline.capture import CaptureRules

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.blobs import SourceBlobs
    from storage.pipeline.shadow import Shadow
    from storage.results.store import Results


@dataclass(frozen=True, slots=True)
class Stores:
    """One set of clients, kept for the life of the process. Thread-safe.

    Attributes:
        source: Reads images.
        results: Reads and writes outcomes.
        admit: Reserves memory for that many downloaded bytes until its context ends; may block.
        now: The clock; aware UTC.
        keep_scores: Whether sidecars hold the scores of all labels.
        capture: Which capture facts are kept.
        actions: Act on each result after its commit.
        shadow: A candidate on trial, which answers a share of the images.
        is_current_model: Whether a model version is the one that its place names at this moment; ``None`` where that is
            not known, as with folders of this machine.
    """

    source: SourceBlobs
    results: Results
    admit: Callable[[int], AbstractContextManager[Any]] = lambda _length: nullcontext()
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    keep_scores: bool = True
    capture: CaptureRules = field(default_factory=CaptureRules)
    actions: Actions = field(default_factory=Actions)
    shadow: Shadow | None = None
    is_current_model: Callable[[str], bool | None] = lambda _version: None
