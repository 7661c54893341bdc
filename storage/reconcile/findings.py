"""What a reconciliation found, image by image and in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """One inconsistency: its event is the name of its count in ``Summary``."""

    event: str
    image: str


@dataclass(slots=True)
class Summary:
    """What a reconciliation found and did.

    Attributes:
        images: Blobs in the container, without copied sidecars.
        rows: Rows of the container's images.
        missing: Images without a row.
        stale: Images whose row is about an earlier content.
        enqueued: Images put on ``classify-requests``.
        repaired: Images whose sidecar or index rows were repaired.
        index_removed: Index rows that were removed because no row has them.
        pruned: Images whose results were removed because the blob is deleted.
        coverage: Share of images with a row for their current content, in [0, 1]; 1 without images; ``None`` where
            there is no container.
        tagged: Images whose index tags were written because they differed from the row; ``None`` without
            ``TAG_IMAGES``.
        notified: Results whose message was due and was sent; ``None`` without ``NOTIFY_QUEUE``.
    """

    images: int = 0
    rows: int = 0
    missing: int = 0
    stale: int = 0
    enqueued: int = 0
    repaired: int = 0
    index_removed: int = 0
    pruned: int = 0
    coverage: float | None = 1.0
    tagged: int | None = None
    notified: int | None = None

    def count(self, finding: Finding) -> None:
        """Count a finding under its event."""
        setattr(self, finding.event, (getattr(self, finding.event) or 0) + 1)

    def as_dict(self) -> dict[str, Any]:
        """The summary by name, in this order, without the counts of actions that the settings do not ask for."""
        return {name: value for name, value in asdict(self).items() if value is not None or name == "coverage"}
