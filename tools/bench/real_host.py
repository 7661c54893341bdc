"""Measures uploads to rows under ``webjobs-host`` by the CPU time of host, worker and storage.

In turns with the app run, in the same minute, on the same emulator and in the worker's own Python:

- the host's ceiling: the same program, where every invocation succeeds at once;
- the function path: ``function_app.py`` on as many threads, without a host and without the worker library;
- its decoding and inference, in memory.

.NET compiles the host's code again while it runs, which costs several seconds of CPU in the first few hundred
invocations. The trials begin when its compiler rests, and what it used until then is a figure of its own. The program
that passes invocations from the host to the worker (``tools.webjobs.app_host``) has no part in the figures: on Azure it
is gRPC.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.storage.blob import BlobServiceClient

from inference.errors import TransientError
from tools.azurite.azurite import ACCOUNT, ACCOUNT_KEY, running
from tools.bench.benchmarks import AT_ONCE, FIRST_IMAGES, FIRST_PHOTO, NO_PHOTO, SOURCES, key
from tools.bench.host_trials import Subject
from tools.bench.inputs.emulator import fill
from tools.bench.inputs.photos import KINDS, photos
from tools.bench.machine import disturbance, read_clocks
from tools.bench.runner import Figure, Measurement
from tools.bench.trials import Trial
from tools.bench.workers.process import start_worker
from tools.process_stats import thread_cpu_seconds
from tools.webjobs.app_host import AppHost, app_host_json
from tools.webjobs.program import MISSING, WebJobsHost, find_program
from tools.webjobs.worker import environment_of, find_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tools.azurite.azurite import Azurite
    from tools.bench.benchmarks import Effort
    from tools.bench.workers.process import WorkerProcess
    from tools.webjobs.program import Reply

_COMPILER = ".NET Tiered Compilation Worker"
_WARM_UP = 60  # images of a batch
_WARM_UP_BATCHES = 12  # at most
_RESTING_MS = 0.5  # CPU of the compiler for one image, when the host's code counts as compiled
_WITHOUT_HOST = {"function path": "function", "in memory": "classify"}  # functions of the worker function_path


def missing_program() -> str:
    """Return the sentence that says what this machine lacks for the measurement; empty if nothing."""
    if find_program() is None:
        return MISSING
    return "" if find_python() else "The worker library of Azure Functions needs Python 3.13: put python3.13 on PATH."


def measure_host(
    effort: Effort, cache: Path, settings: Callable[[str], dict[str, str]], report: Callable[[str], None]
) -> dict[str, Figure]:
    """Measure, for each source of events and in turns, the host alone, the app alone, and the app under the host.

    Rounds in which a trial was disturbed are repeated for a while.

    Args:
        effort: Rounds, and images of a trial by kind of photo.
        cache: Of the photos.
        settings: Returns the app settings on an account, given its connection string.
        report: Called with messages about progress.

    Returns:
        CPU time for each image of ``host``, ``worker`` and ``storage``, and of ``function path`` and ``in memory``
        without a host; see ``tools.bench.benchmarks.key``.

    Raises:
        TransientError: The program or Python 3.13 is missing, or an invocation failed.
    """
    program, base = find_program(), find_python()
    if program is None or base is None:
        raise TransientError(missing_program())
    python = environment_of(base)
    figures: dict[str, Figure] = {}
    with ExitStack() as stack:
        emulator = stack.enter_context(running(in_memory=True, accounts={ACCOUNT: ACCOUNT_KEY}))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-host-")))
        environ = settings(emulator.connection_string)
        fill(emulator.connection_string, cache, {photo: images for photo, images in effort.hosted.items() if photo})
        alone = stack.enter_context(start_worker("function_path", cache, python=str(python), environ=environ))
        for source in SOURCES:
            report(f"starting webjobs-host: {source}")
            with _running(source, program, python, emulator, folder, environ) as (ceiling, app):
                own = {os.getpid(), alone.process_id, *ceiling.processes.values(), *app.processes.values()}
                turns = _Turns(source, replace(ceiling, own=own), replace(app, own=own), alone, cache, effort)
                turns.run(report)
            figures |= turns.figures
    return figures


class _Turns:
    """The rounds of one source of events."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a round is made of, named at its one call
        self, source: str, ceiling: Subject, app: Subject, alone: WorkerProcess, cache: Path, effort: Effort
    ) -> None:
        self._source, self._ceiling, self._app, self._alone = source, ceiling, app, alone
        self._cache, self._effort = cache, effort
        self.figures: dict[str, Figure] = {}

    def run(self, report: Callable[[str], None]) -> None:
        report(f"warming up: host, {self._source}")
        contents = photos(KINDS[FIRST_PHOTO], self._cache)
        _warm_up(self._ceiling, contents)
        self._add("host", FIRST_IMAGES, _warm_up(self._app, contents), rounds=1)
        for photo, images in self._effort.hosted.items():
            if photo:
                self._alone.call("function", photo=photo, images=images)
        deadline = time.monotonic() + self._effort.retry_seconds
        number = 0
        while number < self._effort.host_rounds or (self._disturbed() and time.monotonic() < deadline):
            number += 1
            for photo, images in self._effort.hosted.items():
                report(f"round {number} of {self._effort.host_rounds}: host, {self._source}, {photo or AT_ONCE}")
                self._measure(photo, images)

    def _disturbed(self) -> bool:
        return any(figure.quiet < figure.rounds for figure in self.figures.values())

    def _measure(self, photo: str, images: int) -> None:
        contents = photos(KINDS[photo or FIRST_PHOTO], self._cache)
        if photo == NO_PHOTO:
            measured = self._ceiling.trial(contents, images)
        else:
            for name, function in _WITHOUT_HOST.items():
                before = read_clocks(self._app.own)
                trial = self._alone.call(function, photo=photo, images=images)
                self._add(name, photo, Measurement(trial, disturbance(before, read_clocks(self._app.own))))
            measured = self._app.trial(contents, images)
        for name, measurement in measured.items():
            self._add(name, photo or AT_ONCE, measurement)

    def _add(self, name: str, of: str, measurement: Measurement, rounds: int | None = None) -> None:
        figure = self.figures.setdefault(key(name, f"{self._source}, {of}"), Figure(rounds or self._effort.host_rounds))
        figure.measurements.append(measurement)


def _warm_up(subject: Subject, contents: Sequence[bytes]) -> Measurement:
    """Upload batches until the host's compiler rests; return the host's CPU for each of these images."""
    host, images, cpu_ms = subject.processes["host"], 0, 0.0
    before, started = read_clocks(subject.own), time.monotonic()
    for _ in range(_WARM_UP_BATCHES):
        compiled_s = thread_cpu_seconds(host, _COMPILER)
        trial = subject.trial(contents, _WARM_UP)["host"].trial
        images, cpu_ms = images + trial.images, cpu_ms + trial.images * trial.cpu_ms
        now_s = thread_cpu_seconds(host, _COMPILER)
        # Its thread ends when it has nothing to do, and another starts from zero.
        if (now_s - compiled_s if now_s >= compiled_s else now_s) / trial.images * 1000 < _RESTING_MS:
            break
    trial = Trial(images, images / (time.monotonic() - started), cpu_ms / images)
    return Measurement(trial, disturbance(before, read_clocks(subject.own)))


@contextmanager
def _running(  # noqa: PLR0913, PLR0917 - what a host is made of, named at its one call
    source: str, program: Path, python: Path, emulator: Azurite, folder: Path, settings: Mapping[str, str]
) -> Iterator[tuple[Subject, Subject]]:
    """Run the ceiling and the app, each with a container of its own."""
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
        app = stack.enter_context(AppHost(program, python, environ, folder))
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
            Subject(
                for_ceiling,
                {"host": ceiling.process_id, "storage": emulator.process_id},
                lambda: len(answered),
                partial(_notify, ceiling) if pushes else None,
            ),
            Subject(
                for_app,
                {"host": host_id, "worker": worker_id, "storage": emulator.process_id},
                lambda: _succeeded(app),
                app.deliver if pushes else None,
            ),
        )


def _notify(host: WebJobsHost, events: object) -> Reply:
    return host.deliver("classify_uploaded", {"aeg-event-type": "Notification"}, json.dumps(events))


def _succeeded(app: AppHost) -> int:
    endings = app.endings
    if failed := [error for error in endings if error]:
        raise TransientError(f"An invocation failed: {failed[0]}")
    return len(endings)
