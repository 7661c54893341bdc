"""Measures the start of fresh processes: to the first classified image, and to bare imports and one session.

The bare processes import the packages that the app or the command cannot do without, and create one session. The rest
is due to this repository: its own modules, what else they import, creating clients, warming up, the first image.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from storage.settings import APP_ROOT
from tools.azurite.azurite import Ports, connection_string
from tools.bench.benchmarks import FIRST_PHOTO
from tools.bench.inputs.networks import DEFAULT_NETWORK, model_folder
from tools.bench.inputs.photos import KINDS, photo_file
from tools.bench.machine import disturbance, read_clocks
from tools.bench.runner import Figure, Measurement
from tools.bench.trials import Trial
from tools.classify import DEFAULT_MODEL
from tools.process_stats import wait_for_cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

APP, BARE, PYTHON, SESSION = "start / app", "start / bare", "start / Python alone", "start / packages alone"
CLASSIFY, CLASSIFY_BARE = "start / classify --json", "start / bare for classify"
_ATTEMPTS = 2  # for each start that is to be undisturbed

_APP = "import sys; sys.path.insert(0, ''); import function_app as app; app.model().classify(open({!r}, 'rb').read())"
_INFERENCE_PACKAGES = "import numpy, PIL.Image, simplejpeg, onnxruntime"
_APP_PACKAGES = f"""
import azure.functions, azurefunctions.extensions.bindings.blob, azure.storage.blob, azure.data.tables
{_INFERENCE_PACKAGES}
"""
_SESSION = "\nonnxruntime.InferenceSession({!r}, providers=['CPUExecutionProvider'])"
_END = "\nprint(flush=True)\nimport os; os._exit(0)"  # leaves the CPU time of the interpreter's own end out
_IMPORT = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)", re.MULTILINE)
_NAMESPACES = ("azure", "azurefunctions")


@dataclass(frozen=True, slots=True)
class Imports:
    """The part of one package in the app's start.

    Attributes:
        package: A top-level name, or ``standard library`` or ``ours``.
        modules: How many of its modules are imported.
        ms: Time spent in them, without what they import.
    """

    package: str
    modules: int
    ms: float


def measure_starts(cache: Path, count: int, report: Callable[[str], None] = lambda _message: None) -> dict[str, Figure]:
    """Start processes of each kind in turns, until ``count`` of each were undisturbed, at most twice as many.

    A start lasts until the first line on stdout: ``images_per_s`` is its inverse, in 1/s. ``cpu_ms`` is the CPU time of
    the whole process; only the ``classify`` command includes the end of its interpreter.
    """
    commands = _commands(cache)
    environ = _environ(cache)
    figures = {name: Figure(count) for name in commands}
    for command in commands.values():  # compiles every module and fills the page cache
        _start(command, environ)
    for number in range(count * _ATTEMPTS):
        for name, command in commands.items():
            if figures[name].quiet < count:
                report(f"start {number + 1}: {name}")
                before = read_clocks([os.getpid()])
                trial = _start(command, environ)
                figures[name].measurements.append(Measurement(trial, disturbance(before, read_clocks([os.getpid()]))))
    return figures


def measure_imports(cache: Path) -> list[Imports]:
    """Return the part of each package in the app's imports, the largest first."""
    python, *program = _commands(cache)[APP]
    done = subprocess.run(
        [python, "-X", "importtime", *program],
        cwd=APP_ROOT,
        env=_environ(cache),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    spent: defaultdict[str, list[float]] = defaultdict(list)
    for microseconds, module in _IMPORT.findall(done.stderr):
        spent[_package(module)].append(int(microseconds) / 1000)
    found = [Imports(package, len(each), sum(each)) for package, each in spent.items()]
    return sorted(found, key=lambda each: -each.ms)


def _package(module: str) -> str:
    first, _, rest = module.partition(".")
    if first in {"function_app", "inference", "storage"}:
        return "ours"
    if first in sys.stdlib_module_names:
        return "standard library"
    if first in _NAMESPACES and rest:
        return ".".join(module.split(".")[: 3 if rest.startswith(("storage", "data", "extensions")) else 2])
    return first


def _commands(cache: Path) -> dict[str, list[str]]:
    """Return the command line of each kind of process; each prints one line at the end of its start."""
    photo = str(photo_file(KINDS[FIRST_PHOTO], 0, cache).resolve())
    app_graph = str((model_folder(DEFAULT_NETWORK, cache) / "model.onnx").resolve())
    programs = {
        APP: _APP.format(photo),
        BARE: _APP_PACKAGES + _SESSION.format(app_graph),
        SESSION: _APP_PACKAGES,
        PYTHON: "",
        CLASSIFY_BARE: _INFERENCE_PACKAGES + _SESSION.format(str(DEFAULT_MODEL / "model.onnx")),
    }
    commands = {name: [sys.executable, "-c", program + _END] for name, program in programs.items()}
    return commands | {CLASSIFY: [sys.executable, "-m", "tools", "classify", photo, "--json"]}


def _environ(cache: Path) -> Mapping[str, str]:
    """Return the app's settings. No service listens at the connection string, and the start must not need one.

    ``PYTHONDONTWRITEBYTECODE`` is removed: installed packages have compiled modules, and with the variable set this
    repository alone would be compiled at each start.
    """
    removed = ("ImageStorage", "MODEL_", "PYTHONDONTWRITEBYTECODE")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(removed)},
        "ImageStorage": connection_string(Ports(1, 2, 3)),
        "MODEL_DIR": str(model_folder(DEFAULT_NETWORK, cache).resolve()),
        "ORT_DISABLE_TELEMETRY": "1",  # the app sets it; bare sessions would report to the vendor
    }


def _start(command: Sequence[str], environ: Mapping[str, str]) -> Trial:
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=APP_ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        elapsed = time.perf_counter() - started
        process.stdout.read()
        cpu_seconds = wait_for_cpu_seconds(process)
    if not line or process.returncode:
        raise ConfigurationError(f"A fresh process did not classify its first image: {' '.join(command)}")
    return Trial(1, 1 / elapsed, cpu_seconds * 1000)
