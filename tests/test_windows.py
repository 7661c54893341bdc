"""Windows lacks modules, functions and signals that POSIX systems have. No part of the product needs them to start.

A clean interpreter on this machine is made to look like Windows. First everything is imported as usual, so that other
packages keep their own idea of the platform. Then our modules are removed and imported again without the POSIX parts.
Each program runs in a fork of that interpreter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parent.parent

AS_ON_WINDOWS = """
import ctypes, importlib, json, os, pkgutil, signal, subprocess, sys, traceback
from pathlib import Path
from types import ModuleType, SimpleNamespace

fork = os.fork
MODULES = ("fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty")
FUNCTIONS = (
    "fork", "getegid", "geteuid", "getgid", "getloadavg", "getpgid", "getpriority", "getuid", "killpg", "mkfifo",
    "nice", "posix_fadvise", "sched_getaffinity", "sched_setaffinity", "setpriority", "setsid", "statvfs",
    "sysconf", "uname", "wait3", "wait4",
)
SIGNALS = (
    "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGSTOP", "SIGUSR1", "SIGUSR2", "alarm", "pthread_kill",
    "pthread_sigmask", "setitimer", "sigwait",
)
ROOMS = ("inference", "storage", "tools")

def import_all():
    names = [name for room in ROOMS for name in names_below(importlib.import_module(room))]
    for name in names:
        importlib.import_module(name)
    import function_app
    return names

def names_below(package):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        left_out = found.name in LEFT_OUT or found.name.startswith(RECORDERS)
        if not left_out and not found.name.endswith("__main__"):
            yield found.name

def memory_status(status):
    status._obj.total_physical = 8 << 30

# They need the worker library, PyTorch.
LEFT_OUT = {"tools.webjobs.worker_driver", "tools.bench.workers.pytorch", "tools.maintainer.shapes.network",
            "tools.maintainer.shapes.train"}
RECORDERS = "tools.maintainer.golden."  # they need the libraries that they record
import_all()
from tools.__main__ import COMMANDS, command_module

for name in list(sys.modules):
    if name.partition(".")[0] in (*ROOMS, "function_app"):
        del sys.modules[name]
for name in MODULES:
    sys.modules[name] = None  # from now on its import fails
for name in FUNCTIONS:
    if hasattr(os, name):
        delattr(os, name)
if hasattr(os, "process_cpu_count"):
    os.process_cpu_count = os.cpu_count  # as Windows has it: no process has a set of CPUs of its own
for name in SIGNALS:
    if hasattr(signal, name):
        delattr(signal, name)
signal.SIGBREAK, signal.CTRL_BREAK_EVENT, signal.CTRL_C_EVENT = 21, 1, 0
subprocess.CREATE_NEW_PROCESS_GROUP = 0x200
sys.modules["msvcrt"] = ModuleType("msvcrt")
ctypes.windll = SimpleNamespace(kernel32=SimpleNamespace(GlobalMemoryStatusEx=memory_status))
sys.platform = "win32"

imported = import_all()
assert len(imported) > 150, imported

folder = Path(sys.argv[1])
for name, program in json.loads((folder / "programs.json").read_text()).items():
    process_id = fork()
    if process_id == 0:
        ended = 1
        with (folder / name).open("w", encoding="utf-8") as sys.stdout:
            try:
                exec(program)
                ended = 0
            except BaseException:
                traceback.print_exc(file=sys.stdout)
        os._exit(ended)
    if os.waitpid(process_id, 0)[1]:
        (folder / name).rename(folder / f"{name}.failed")
"""

PARSERS = """
import argparse
from tools.__main__ import COMMANDS, command_module

for name in COMMANDS:
    parser = argparse.ArgumentParser()
    command_module(name).configure(parser)
    assert parser.format_help()
    print(name)
"""

LIMITS = """
from inference.resources.cpus import usable_cpus, visible_cpus
from inference.resources.memory import available_bytes, return_freed_memory, trim_heaps

assert usable_cpus() >= 1 and visible_cpus() >= 1
assert 64 << 20 <= available_bytes() < 8 << 30
return_freed_memory()
trim_heaps()
"""


LOCK = """
import msvcrt, tempfile
from pathlib import Path
from storage.models.file_lock import locked

calls = []

def locking(descriptor, mode, count):
    calls.append((mode, count, os.lseek(descriptor, 0, os.SEEK_CUR)))
    if len(calls) == 1:
        raise OSError(36, "Resource deadlock avoided")  # another process held it for ten seconds

msvcrt.LK_LOCK, msvcrt.LK_UNLCK, msvcrt.locking = 1, 0, locking
with tempfile.TemporaryDirectory() as folder, locked(Path(folder) / ".lock"):
    assert calls == [(1, 1, 0), (1, 1, 0)], calls
assert calls[2:] == [(0, 1, 0)], calls
"""

CACHE = """
import tempfile
from pathlib import Path
from storage.models.cache import _private_root

with tempfile.TemporaryDirectory() as folder:
    tempfile.tempdir = folder
    assert _private_root() == _private_root() == Path(folder) / "image-classifier-models"
"""

STOP = """
from tools.azurite import azurite
from tools.devhost import process
from tools.interrupt import TERMINATION

class Host:
    sent = []
    def poll(self): return None
    def send_signal(self, number): self.sent.append(number)
    def wait(self, seconds=None): return 0

assert process.stop(Host()) == 0
assert Host.sent == [signal.CTRL_BREAK_EVENT]
assert TERMINATION == signal.SIGBREAK
assert process._CREATION_FLAGS == azurite._CREATION_FLAGS == subprocess.CREATE_NEW_PROCESS_GROUP
"""

CPU_TIME = """
from tools.process_stats import wait_for_cpu_seconds

class Child:
    _handle = 7
    def wait(self): return 0

def process_times(handle, *times):
    assert handle.value == 7
    for pointer, value in zip(times, (1, 2, 10_000_000, 5_000_000), strict=True):
        pointer._obj.value = value

ctypes.windll.kernel32.GetProcessTimes = process_times
assert wait_for_cpu_seconds(Child()) == 1.5
"""

SETTINGS = """
import tempfile
from pathlib import Path
from storage.settings import Settings
from tools.devhost.process import environment
from tools.devhost.settings import load_settings

# Windows's environment has no case, and Python lists its names in upper case.
listed = {"IMAGESTORAGE": "UseDevelopmentStorage=true", "AZUREWEBJOBS.RECONCILE.DISABLED": "1", "TOP_K": "3"}
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "local.settings.json").write_text('{"Values": {"ImageStorage": "local", "MIN_SCORE": "0.5"}}')
    settings = load_settings(Path(folder), listed, "DevelopmentStorage=expanded")
assert settings["ImageStorage"] == "DevelopmentStorage=expanded", dict(settings)
assert settings["AzureWebJobs.reconcile.Disabled"] == "1"
read = Settings.from_environ(settings)
assert (read.top_k, read.min_score, read.incoming_container) == (3, 0.5, "incoming")

os.environ["IMAGESTORAGE"] = "of the shell"
assert [name for name in environment("of the demo") if name.upper() == "IMAGESTORAGE"] == ["ImageStorage"]
"""

OUTPUT = """
import errno, io
from tools.__main__ import _is_closed_pipe, _prepare_output

class Console(io.TextIOWrapper):
    def isatty(self): return True

file, sys.stdout, sys.stderr = sys.stdout, *(kind(io.BytesIO(), "cp1252") for kind in (io.TextIOWrapper, Console))
_prepare_output()
for stream in (sys.stdout, sys.stderr):
    print("\u661f", end="", file=stream, flush=True)
written = [stream.buffer.getvalue() for stream in (sys.stdout, sys.stderr)]
sys.stdout = file
assert written == ["\u661f".encode(), b"\\u661f"], written

assert _is_closed_pipe(BrokenPipeError())
assert _is_closed_pipe(OSError(errno.EINVAL, "Invalid argument"))
assert not _is_closed_pipe(OSError(errno.EINVAL, "Invalid argument", "a?b.jpg"))
assert not _is_closed_pipe(OSError(errno.ENOSPC, "No space left on device"))
"""


PROGRAMS = {
    "CPUs and memory": LIMITS,
    "file lock": LOCK,
    "model cache": CACHE,
    "stopping the host": STOP,
    "CPU time": CPU_TIME,
    "settings": SETTINGS,
    "output": OUTPUT,
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what each program printed; where one failed, its file ends in ``.failed`` and holds the error."""
    folder = tmp_path_factory.mktemp("windows")
    programs = PROGRAMS | {"parsers": PARSERS, "a POSIX module": "import fcntl"}
    (folder / "programs.json").write_text(json.dumps(programs))
    environ = os.environ | {"ImageStorage": "UseDevelopmentStorage=true", "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan"}
    done = subprocess.run(
        [sys.executable, "-c", AS_ON_WINDOWS, str(folder)],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_app_and_every_module_import_and_every_command_builds_its_parser(printed: Path) -> None:
    assert (printed / "parsers").read_text(encoding="utf-8").split() == list(COMMANDS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_branch_for_windows_works(printed: Path, name: str) -> None:
    failed = printed / f"{name}.failed"
    assert not failed.exists(), failed.read_text(encoding="utf-8")
    assert (printed / name).exists()


def test_a_posix_module_would_be_noticed(printed: Path) -> None:
    assert "fcntl" in (printed / "a POSIX module.failed").read_text(encoding="utf-8")
