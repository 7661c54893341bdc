"""What a simulated run writes down: when each image was uploaded and settled, and what went wrong on the way."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from math import isnan


@dataclass(slots=True)
class Journal:
    """Times in seconds of the simulation.

    Attributes:
        uploaded: By image number.
        settled: By image number; ``nan`` until its row is there.
        rows: How many images have theirs.
        counts: ``throttled``, ``delivery_failed``, ``poisoned``, ``given_up``, ``duplicates``, ``event_retries``.
    """

    uploaded: array[float] = field(default_factory=lambda: array("d"))
    settled: array[float] = field(default_factory=lambda: array("d"))
    counts: Counter[str] = field(default_factory=Counter)
    rows: int = 0

    def upload(self, now: float) -> int:
        """Write an upload down and return the image's number."""
        self.uploaded.append(now)
        self.settled.append(float("nan"))
        return len(self.uploaded) - 1

    def settle(self, image: int, now: float) -> None:
        """Write down that an image's row is there; a second time is a duplicate."""
        if self.is_settled(image):
            self.counts["duplicates"] += 1
        else:
            self.settled[image] = now
            self.rows += 1

    def is_settled(self, image: int) -> bool:
        """Whether the image has its row."""
        return not isnan(self.settled[image])

    def latencies(self) -> list[float]:
        """Seconds from upload to row, ascending."""
        return sorted(
            self.settled[image] - self.uploaded[image] for image in range(len(self.settled)) if self.is_settled(image)
        )

    def seconds(self) -> float:
        """From the first upload to the last row."""
        moments = self._moments()
        return moments[-1] - self.uploaded[0] if moments else 0.0

    def images_per_s(self) -> float:
        """Rows a second, from the first upload until nine tenths of them were there: stragglers do not count."""
        moments = self._moments()
        most = len(moments) * 9 // 10
        took = moments[most] - self.uploaded[0] if moments else 0.0
        return most / took if took > 0 else 0.0

    def most_waiting(self) -> int:
        """The largest number of images that were uploaded and had no row yet."""
        changes = [(moment, 1) for moment in self.uploaded]
        changes += [(moment, -1) for moment in self._moments()]
        waiting = most = 0
        for _, change in sorted(changes):
            waiting += change
            most = max(most, waiting)
        return most

    def _moments(self) -> list[float]:
        """When rows came, ascending."""
        return sorted(moment for moment in self.settled if not isnan(moment))


def percentile(ascending: list[float], share: float) -> float:
    """The nearest-rank percentile; ``nan`` of nothing."""
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))] if ascending else float("nan")
