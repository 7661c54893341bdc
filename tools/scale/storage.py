"""The limited parts of storage, and which of them each request of an image meets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.scale.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.scale.limits import Layout, Limits

Needs = tuple[tuple[Meter, float], ...]  # what one request takes of which limits


class Storage:
    """Meters of the account, the tables, each partition and each queue.

    The host's storage is an account of its own for each app, so its queue does not count against the images'.
    """

    def __init__(self, limits: Limits, layout: Layout) -> None:
        def meters(count: int, per_s: float) -> list[Meter]:
            return [Meter(per_s, limits.burst_s) for _ in range(count)]

        self._layout = layout
        self.queues = meters(layout.queues, limits.queue_per_s)
        self.folders = meters(layout.folders, limits.partition_per_s)
        self.labels = meters(layout.labels, limits.partition_per_s)
        self.days = meters(layout.day_partitions, limits.partition_per_s)
        self.tables = meters(layout.accounts, limits.tables_per_s)
        self.accounts = meters(layout.accounts, limits.account_per_s)
        self.egress = meters(layout.accounts, limits.egress_gbit_per_s * 1e9 / 8)

    def looking(self, image: int) -> Needs:
        """The host's look at the blob's properties."""
        return ((self._of(self.accounts, image), 1),)

    def uploading(self, image: int) -> Needs:
        """The upload itself."""
        return ((self._of(self.accounts, image), 1),)

    def reading(self, image: int, photo_bytes: int) -> tuple[Needs, ...]:
        """Row, then blob."""
        blob: Needs = ((self._of(self.accounts, image), 1), (self._of(self.egress, image), photo_bytes))
        return self._entity(self.folders, image), blob

    def writing(self, image: int) -> tuple[Needs, ...]:
        """Sidecar, the two index rows, the row."""
        sidecar: Needs = ((self._of(self.accounts, image), 1),)
        return (
            sidecar,
            self._entity(self.days, image),
            self._entity(self.labels, image),
            self._entity(self.folders, image),
        )

    def by_name(self) -> dict[str, Sequence[Meter]]:
        """Every meter, for who asks where it was tight."""
        return {
            "queue": self.queues,
            "folder partition": self.folders,
            "label partition": self.labels,
            "day partition": self.days,
            "tables of the account": self.tables,
            "requests of the account": self.accounts,
            "egress of the account": self.egress,
        }

    def _entity(self, partitions: list[Meter], image: int) -> Needs:
        return (
            (self._of(partitions, image), 1),
            (self._of(self.tables, image), 1),
            (self._of(self.accounts, image), 1),
        )

    def _of(self, meters: list[Meter], image: int) -> Meter:
        # Fibonacci hashing: even, and not in step with what else counts images
        return meters[(image * 2654435769 >> 8) % len(meters)]


def admitted(needs: Needs, now: float) -> bool:
    """Whether a request passes all its limits; what one of them let through before another refused is spent."""
    return all(meter.take(now, units) for meter, units in needs)
