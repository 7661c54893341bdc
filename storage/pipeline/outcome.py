"""The outcome of one delivery, its timings, and the one log line about it."""

from __future__ import annotations

import json
import logging
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from storage.results.record import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.results.record import Image, Record

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """The outcome of one delivery."""

    COMMITTED = "committed"  # a row was written
    DUPLICATE = "duplicate"  # the row was already there
    GONE = "gone"  # the blob was deleted
    SUPERSEDED = "superseded"  # the blob was overwritten meanwhile; its own event classifies it
    IGNORED = "ignored"  # not an image: a directory marker, or a sidecar that was copied into the incoming container


@dataclass(frozen=True, slots=True)
class Finished:
    """The outcome of one delivery, and the committed record where there is one."""

    outcome: Outcome
    record: Record | None = None


@dataclass(slots=True)
class Timings:
    """Durations of a delivery's stages, in milliseconds; ``None`` for a stage that did not run."""

    read_ms: float | None = None
    decode_ms: float | None = None
    inference_ms: float | None = None
    shadow_ms: float | None = None
    write_ms: float | None = None

    @contextmanager
    def measure(self, stage: Literal["read_ms", "shadow_ms", "write_ms"]) -> Iterator[None]:
        """Measure the block, also when it raises."""
        started = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, stage, (time.perf_counter() - started) * 1000)


def log_finished(  # noqa: PLR0913 - what one line says
    image: Image,
    attempt: int,
    finished: Finished,
    timings: Timings,
    total_ms: float,
    *,
    impossible_time: str | None = None,
) -> None:
    """Log the one line per delivery: the event name, then key=value, where text from outside is a JSON string.

    Args:
        image: The image.
        attempt: How many delayed attempts there were before this one.
        finished: The outcome.
        timings: The durations of its stages.
        total_ms: The duration of the delivery, in milliseconds.
        impossible_time: The capture time that the photo states and that was left out of the row.
    """
    outcome, record = finished.outcome, finished.record
    values: dict[str, object] = {"image": json.dumps(str(image)), "outcome": outcome}
    if record is not None:
        values["status"] = record.status
        if record.status is Status.CLASSIFIED:
            values |= {"label": json.dumps(record.label), "score": f"{record.score:.4f}"}
            values |= {"decoded_fraction": f"{record.decoded_fraction:.4f}"} if record.damaged else {}
        else:
            values |= {"reason": record.reason, "detail": json.dumps(record.detail)}
        values |= {"model": json.dumps(record.model), "model_version": record.model_version}
    if impossible_time is not None:
        values["impossible_time"] = json.dumps(impossible_time)
    values["attempt"] = attempt
    if record is not None and outcome is Outcome.COMMITTED:
        values["queue_delay_ms"] = record.queue_delay_ms
    durations_ms = {**asdict(timings), "total_ms": total_ms}
    values |= {stage: f"{duration_ms:.1f}" for stage, duration_ms in durations_ms.items() if duration_ms is not None}
    refused = outcome is Outcome.COMMITTED and record is not None and record.status is not Status.CLASSIFIED
    level = logging.WARNING if refused else logging.INFO
    logger.log(level, "image_finished %s", " ".join(f"{key}={value}" for key, value in values.items()))
