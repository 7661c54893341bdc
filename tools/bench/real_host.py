"""Measures uploads to rows under ``webjobs-host`` by the CPU time of host, worker and storage.

Beside the app runs the ceiling of the host: the same program, where every invocation succeeds at once. The emulator's
scanner misses some uploads of a batch, so an image counts when its invocation has ended. The program that passes
invocations from the host to the worker (``tools.webjobs.app_host``) has no part in the figures: on Azure it is gRPC.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.storage.blob import BlobServiceClient

from inference.errors import TransientError
from tools.azurite.azurite import ACCOUNT, ACCOUNT_KEY, running
from tools.bench.benchmarks import AT_ONCE, FIRST_PHOTO, NO_PHOTO, SOURCES, key
from tools.bench.inputs.photos import KINDS, photos
from tools.bench.machine import disturbance, read_clocks
from tools.bench.runner import Figure, Measurement
from tools.bench.trials import Trial
from tools.process_stats import cpu_seconds
from tools.webjobs.app_host import AppHost, app_host_json
from tools.webjobs.program import MISSING, WebJobsHost, find_program
from tools.webjobs.worker import environment_of, find_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from azure.storage.blob import BlobClient, ContainerClient

    from tools.azurite.azurite import Azurite
    from tools.bench.benchmarks import Effort
    from tools.webjobs.program import Reply

_QUIET_SECONDS = 7.0  # three scans of the emulator's scanner
_TIMEOUT_SECONDS = 300.0
_ACCEPTED = 202
_WARM_UP = 40  # images before the first trial: .NET compiles its code while it runs, and the worker loads the model


def missing_program() -> str:
    """Return the sentence that says what this machine lacks for the measurement; empty if nothing."""
    if find_program() is None:
        return MISSING
    return "" if find_python() else "The worker library of Azure Functions needs Python 3.13: put python3.13 on PATH."


def measure_host(
    effort: Effort, cache: Path, settings: Callable[[str], dict[str, str]], report: Callable[[str], None]
) -> dict[str, Figure]:
    """Measure, for each source of events and in turns, an answer at once and the app with each kind of photo.

    Args:
        effort: Rounds, and images of a trial by kind of photo.
        cache: Of the photos.
        settings: Returns the app settings on an account, given its connection string.
        report: Called with messages about progress.

    Returns:
        CPU time for each image of ``host``, ``worker`` and ``storage``; see ``tools.bench.benchmarks.key``.
    """
    figures: dict[str, Figure] = {}
    with ExitStack() as stack:
        emulator = stack.enter_context(running(in_memory=True, accounts={ACCOUNT: ACCOUNT_KEY}))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-host-")))
        for source in SOURCES:
            report(f"starting webjobs-host: {source}")
            with _running(source, emulator, folder, settings(emulator.connection_string)) as (ceiling, app):
                for each in (ceiling, app):
                    each.trial(photos(KINDS[FIRST_PHOTO], cache), _WARM_UP)
                for number, (photo, images) in itertools.product(range(effort.host_rounds), effort.hosted.items()):
                    of = f"{source}, {photo or AT_ONCE}"
                    report(f"round {number + 1} of {effort.host_rounds}: host, {of}")
                    contents = photos(KINDS[photo or FIRST_PHOTO], cache)
                    for name, measurement in (ceiling if photo == NO_PHOTO else app).trial(contents, images).items():
                        figure = figures.setdefault(key(name, of), Figure(effort.host_rounds))
                        figure.measurements.append(measurement)
    return figures


@dataclass
class _Subject:
    """A host that runs.

    Attributes:
        container: Where it looks for uploads.
        processes: IDs by name.
        count_ended: Returns how many invocations have ended since the start.
        deliver: Posts an Event Grid event to its webhook; ``None`` when it polls.
    """

    container: ContainerClient
    processes: Mapping[str, int]
    count_ended: Callable[[], int]
    deliver: Callable[[Any], Reply] | None
    _batches: Iterator[int] = field(default_factory=itertools.count)

    def trial(self, contents: Sequence[bytes], images: int) -> dict[str, Measurement]:
        """Upload a batch and wait until all of it has ended, or no more ends; return a measurement by process."""
        batch = next(self._batches)
        names = [f"{batch:04}/{number:04}.jpg" for number in range(images)]
        before, ended = read_clocks(self.processes.values()), self.count_ended()
        cpu_s, started = self._cpu_s(), time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            uploads = zip(names, itertools.cycle(contents), strict=False)
            list(pool.map(lambda upload: self._upload(*upload), uploads))
        done, seconds, used_s = self._wait(images, ended, started)
        disturbed = disturbance(before, read_clocks(self.processes.values()))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self.container.delete_blob, names))
        return {
            name: Measurement(Trial(done, done / seconds, (used_s[name] - cpu_s[name]) / done * 1000), disturbed)
            for name in self.processes
        }

    def _upload(self, name: str, content: bytes) -> None:
        blob = self.container.upload_blob(name, content)
        if self.deliver is None:
            return
        reply = self.deliver([_event(blob, len(content))])
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


@contextmanager
def _running(
    source: str, emulator: Azurite, folder: Path, settings: Mapping[str, str]
) -> Iterator[tuple[_Subject, _Subject]]:
    """Run the ceiling and the app, each with a container of its own."""
    program, base = find_program(), find_python()
    if program is None or base is None:
        raise TransientError(missing_program())
    service = BlobServiceClient.from_connection_string(emulator.connection_string)
    word = source.lower().replace(" ", "")
    for_app, for_ceiling = (service.create_container(f"{word}-{name}") for name in ("app", "ceiling"))
    environ = {
        **settings,
        "BLOB_TRIGGER_SOURCE": SOURCES[source],
        "AzureFunctionsWebHost__hostid": f"{word}app",
        "INCOMING_CONTAINER": for_app.container_name,
        "RESULTS_CONTAINER": f"{word}-results",
    }
    with ExitStack() as stack:
        app = stack.enter_context(AppHost(program, environment_of(base), environ, folder))
        answered: list[str] = []

        def answer(line: dict[str, Any]) -> None:
            ceiling.answer(line["id"])
            answered.append(line["id"])

        (uploaded,) = (each for each in app.functions if each["name"] == "classify_uploaded")
        bindings = [{**each, "path": f"{for_ceiling.container_name}/{{name}}"} for each in uploaded["bindings"]]
        beside = folder / f"{word}-ceiling"
        beside.mkdir()
        ceiling = WebJobsHost(
            program,
            [{"name": uploaded["name"], "bindings": bindings}],
            {**environ, "AzureFunctionsWebHost__hostid": f"{word}ceiling"},
            beside,
            host_json=app_host_json(),
            invoke=answer,
            timed_out=lambda _function: None,
        )
        stack.callback(ceiling.kill)
        ceiling.wait_until_ready()
        pushes = source != "polling"
        host_id, worker_id = app.process_ids
        yield (
            _Subject(
                for_ceiling,
                {"host": ceiling.process_id, "storage": emulator.process_id},
                lambda: len(answered),
                partial(_notify, ceiling) if pushes else None,
            ),
            _Subject(
                for_app,
                {"host": host_id, "worker": worker_id, "storage": emulator.process_id},
                lambda: _succeeded(app),
                app.deliver if pushes else None,
            ),
        )


def _event(blob: BlobClient, content_length: int) -> dict[str, Any]:
    return {
        "id": blob.blob_name,
        "topic": "/subscriptions/bench",
        "subject": f"/blobServices/default/containers/{blob.container_name}/blobs/{blob.blob_name}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": "2026-01-01T00:00:00Z",
        "dataVersion": "",
        "metadataVersion": "1",
        "data": {
            "api": "PutBlob",
            "eTag": "0x1",
            "contentType": "image/jpeg",
            "contentLength": content_length,
            "blobType": "BlockBlob",
            "url": blob.url,
        },
    }


def _notify(host: WebJobsHost, events: object) -> Reply:
    return host.deliver("classify_uploaded", {"aeg-event-type": "Notification"}, json.dumps(events))


def _succeeded(app: AppHost) -> int:
    ended = [each["error"] for each in app.invocations if "error" in each]
    if failed := [error for error in ended if error]:
        raise TransientError(f"An invocation failed: {failed[0]}")
    return len(ended)
