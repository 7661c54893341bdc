"""From the start of a process to its first classified image, against the least that it could take: fresh processes.

The least is Python itself, the imports of the packages without which there is no function app, and one session. What is
beyond it is ours: our own modules, what they import beside these packages, wiring, warming up, the first image.
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
from tools.bench.machine import between, read
from tools.bench.networks import model_folder
from tools.bench.photos import KINDS, photos
from tools.bench.runner import Figure, Seen
from tools.bench.trials import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

APP, BARE, PYTHON, SESSION = "start / app", "start / bare", "start / Python alone", "start / packages alone"
_TRIES = 2
_DONE = "done"
_FIRST_IMAGE = (
    "import sys; sys.path.insert(0, ''); import function_app as app; app.model().classify(open({photo!r}, 'rb').read())"
)
_PACKAGES = """
import azure.functions, azurefunctions.extensions.bindings.blob, azure.storage.blob, azure.data.tables
import numpy, PIL.Image, PIL.JpegImagePlugin, onnxruntime
"""
_SESSION = "onnxruntime.InferenceSession({graph!r}, providers=['CPUExecutionProvider'])"
_IMPORT = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)", re.MULTILINE)
_NAMESPACES = ("azure", "azurefunctions")


@dataclass(frozen=True, slots=True)
class Imports:
    """What a package takes of the app's start.

    Attributes:
        package: A distribution's top name, or ``standard library`` or ``ours``.
        modules: How many of it are imported.
        ms: Time inside them alone.
    """

    package: str
    modules: int
    ms: float


def starts(cache: Path, count: int, tell: Callable[[str], None] = lambda _said: None) -> dict[str, Figure]:
    """Start fresh processes of each kind, in turns, until ``count`` of each were undisturbed, at most twice that.

    ``images_per_s`` of a figure is one over the seconds that a start took; ``cpu_ms`` is its CPU time.
    """
    programs = _programs(cache)
    figures = {name: Figure(count) for name in programs}
    environ = _environ(cache)
    for program in programs.values():  # compiles every module and warms the page cache
        _start(program, environ)
    for number in range(count * _TRIES):
        for name, program in programs.items():
            if figures[name].quiet < count:
                tell(f"start {number + 1}: {name}")
                before = read([os.getpid()])
                trial = _start(program, environ)
                figures[name].trials.append(Seen(trial, between(before, read([os.getpid()]))))
    return figures


def imports(cache: Path) -> list[Imports]:
    """Take the app's imports apart, the dearest package first."""
    program = _programs(cache)[APP]
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program],
        cwd=APP_ROOT,
        env=_environ(cache),
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    spent: defaultdict[str, list[float]] = defaultdict(list)
    for microseconds, module in _IMPORT.findall(said):
        spent[_package(module)].append(int(microseconds) / 1000)
    return sorted(
        (Imports(package, len(each), sum(each)) for package, each in spent.items()), key=lambda each: -each.ms
    )


def _package(module: str) -> str:
    first, _, rest = module.partition(".")
    if first in {"function_app", "inference", "storage"}:
        return "ours"
    if first in sys.stdlib_module_names:
        return "standard library"
    if first in _NAMESPACES and rest:
        return ".".join(module.split(".")[: 3 if rest.startswith(("storage", "data", "extensions")) else 2])
    return first


def _programs(cache: Path) -> dict[str, str]:
    photo = KINDS[FIRST_PHOTO]
    photos(photo, cache)
    file = next((cache).glob(f"photos-*/{FIRST_PHOTO.replace(' ', '-')}-0")).resolve()
    graph = (model_folder("MobileNetV2", cache) / "model.onnx").resolve()
    said = f"\nprint({_DONE!r}, flush=True)\nimport os; os._exit(0)"  # a start does not hold the CPU time of the end
    return {
        APP: _FIRST_IMAGE.format(photo=str(file)) + said,
        BARE: _PACKAGES + _SESSION.format(graph=str(graph)) + said,
        SESSION: _PACKAGES + said,
        PYTHON: said,
    }


def _environ(cache: Path) -> Mapping[str, str]:
    """The app's settings; nobody listens at the connection string, and nothing must be asked at the start.

    Compiled modules are kept, whatever the caller's shell says of it. Packages have theirs since they were installed; a
    checkout has none where ``PYTHONDONTWRITEBYTECODE`` is set, and the app alone would compile its own at each start.
    """
    foreign = ("ImageStorage", "MODEL_", "PYTHONDONTWRITEBYTECODE")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        "ImageStorage": connection_string(Ports(1, 2, 3)),
        "MODEL_DIR": str(model_folder("MobileNetV2", cache).resolve()),
        "ORT_DISABLE_TELEMETRY": "1",  # so that bare sessions do not report home
    }


def _start(program: str, environ: Mapping[str, str]) -> Trial:
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=APP_ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        elapsed = time.perf_counter() - started
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    if said.strip() != _DONE:
        raise ConfigurationError(f"A fresh process did not come to its first image: python -c {program!r}")
    return Trial(1, 1 / elapsed, (usage.ru_utime + usage.ru_stime) * 1000)
