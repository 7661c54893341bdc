"""One host under measurement, and a trial of it: a batch of uploads, until every invocation has ended.

The blobs are staged before the clocks of a trial start. When the host polls, they are committed then; with Event Grid
they are committed before, and their events are delivered then. The emulator's scanner misses uploads that have the
Last-Modified second of one that it has seen, so a batch is committed at the begin of a second, and an image counts when
its invocation has ended.
"""

from __future__ import annotations

import itertools
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobBlock

from inference.errors import TransientError
from tools.bench.machine import disturbance, read_clocks
from tools.bench.runner import Measurement
from tools.bench.trials import Trial
from tools.process_stats import cpu_seconds
from tools.webjobs.events import blob_event

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from azure.storage.blob import BlobClient, ContainerClient

    from tools.webjobs.program import Reply

_QUIET_SECONDS = 7.0  # three scans of the emulator's scanner
_TIMEOUT_SECONDS = 300.0
_ACCEPTED = 202
_BLOCK = "QQ=="  # of the one block that a blob has
_THREADS = 4


@dataclass
class Subject:
    """A host that runs.

    Attributes:
        container: Where it looks for uploads.
        processes: IDs of the processes under measurement, by name.
        count_ended: Returns how many invocations have ended since the start; raises if one has failed.
        deliver: Posts Event Grid events to its webhook; ``None`` when it polls.
        own: IDs of all processes of the bench; what they use disturbs no trial.
    """

    container: ContainerClient
    processes: Mapping[str, int]
    count_ended: Callable[[], int]
    deliver: Callable[[Any], Reply] | None
    own: Collection[int] = ()
    _batches: Iterator[int] = field(default_factory=itertools.count)

    def trial(self, contents: Sequence[bytes], images: int) -> dict[str, Measurement]:
        """Upload a batch and wait until all of it has ended, or no more ends; return a measurement by process."""
        batch = next(self._batches)
        blobs = [self.container.get_blob_client(f"{batch:04}/{number:04}.jpg") for number in range(images)]
        sizes = [len(content) for _, content in zip(blobs, itertools.cycle(contents), strict=False)]
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(lambda blob, content: blob.stage_block(_BLOCK, content), blobs, itertools.cycle(contents)))
            if self.deliver is None:
                _wait_for_next_second()
            else:
                list(pool.map(_commit, blobs))
            before, ended = read_clocks(self.own), self.count_ended()
            cpu_s, started = self._cpu_s(), time.monotonic()
            list(pool.map(_commit if self.deliver is None else self._announce, blobs, sizes))
            done, seconds, used_s = self._wait(images, ended, started)
            disturbed = disturbance(before, read_clocks(self.own))
            list(pool.map(_delete, blobs))
        return {
            name: Measurement(Trial(done, done / seconds, (used_s[name] - cpu_s[name]) / done * 1000), disturbed)
            for name in self.processes
        }

    def _announce(self, blob: BlobClient, content_length: int) -> None:
        assert self.deliver is not None
        reply = self.deliver([blob_event(blob.url, content_length=content_length)])
        if reply.status != _ACCEPTED:
            raise TransientError(f"The webhook of webjobs-host answered {reply.status}: {reply.body}")

    def _wait(self, images: int, ended: int, started: float) -> tuple[int, float, dict[str, float]]:
        """Return how many invocations ended, the seconds until the last, and the CPU seconds of the processes then."""
        done, last, cpu_s = 0, time.monotonic(), self._cpu_s()
        while done < images:
            time.sleep(0.05)
            if (now := self.count_ended() - ended) != done:
                done, last, cpu_s = now, time.monotonic(), self._cpu_s()
            elif time.monotonic() - last > (_QUIET_SECONDS if done else _TIMEOUT_SECONDS):
                break
        if not done:
            raise TransientError(f"No invocation ended within {_TIMEOUT_SECONDS:.0f} s.")
        return done, last - started, cpu_s

    def _cpu_s(self) -> dict[str, float]:
        return {name: cpu_seconds(process_id) for name, process_id in self.processes.items()}


def _wait_for_next_second() -> None:
    now = time.time()
    time.sleep(math.ceil(now) - now)


def _commit(blob: BlobClient, _content_length: int = 0) -> None:
    blob.commit_block_list([BlobBlock(_BLOCK)])


def _delete(blob: BlobClient) -> None:
    with suppress(ResourceNotFoundError):  # the SDK repeats a request whose answer was late
        blob.delete_blob()
