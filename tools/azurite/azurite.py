"""Runs Azurite, the storage emulator, on loopback ports; it always ends with the process that started it."""

from __future__ import annotations

import contextlib
import json
import os
import re
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
from tools.azurite.install import HOME, ensure_installed, last_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATA = HOME / "data"
ACCOUNT = "devstoreaccount1"
# Published by Microsoft and the same on every machine, so no secret.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
START_SECONDS = 60.0
STOP_SECONDS = 10.0

if sys.platform == "win32":  # mypy knows this statement, not the expression
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _CREATION_FLAGS = 0


class Ports(NamedTuple):
    """Ports of the three services on 127.0.0.1; 0 selects a free port."""

    blob: int = 10000
    queue: int = 10001
    table: int = 10002


FREE_PORTS = Ports(0, 0, 0)
_PORT = Parser(whole(0, 65535).parse, "a port number from 0 to 65535")
PORT_SETTINGS = tuple(
    Setting(f"AZURITE_{service.upper()}_PORT", _PORT, f"The port of Azurite's {service} service.", str(default))
    for service, default in Ports()._asdict().items()
)


def ports_from_environ(environ: Mapping[str, str]) -> Ports:
    """Read ``AZURITE_BLOB_PORT``, ``AZURITE_QUEUE_PORT`` and ``AZURITE_TABLE_PORT``, else use the defaults."""
    return Ports(*(setting.read(environ) for setting in PORT_SETTINGS))


def port_number(text: str, name: str) -> int:
    """Parse a port; ``name`` identifies it in the error message."""
    return Setting(name, _PORT, "").read({name: text})


def connection_string(
    ports: Ports, account: str = ACCOUNT, key: str = ACCOUNT_KEY, *, by_host_name: bool = False
) -> str:
    """Return a connection string to the emulator, for the SDKs, Storage Explorer and azcopy.

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
        ports: Ports of its services on 127.0.0.1.
        process_id: ID of the Node process.
    """

    ports: Ports
    process_id: int

    @property
    def connection_string(self) -> str:
        """The connection string of all three services."""
        return connection_string(self.ports)


@contextlib.contextmanager
def running(
    location: Path | None = None,
    ports: Ports = FREE_PORTS,
    *,
    in_memory: bool = False,
    accounts: Mapping[str, str] | None = None,
) -> Iterator[Azurite]:
    """Run Azurite for the length of the block. It also ends when this process ends or is killed.

    Args:
        location: Folder for the data; by default ``.azurite/data`` in the project. Not used with ``in_memory``.
        ports: Ports to listen on; by default three free ones.
        in_memory: Store nothing on disk.
        accounts: Names and Base64 keys of accounts to use instead of the published one. Unsupported headers are then
        ignored.

    Raises:
        ConfigurationError: Azurite cannot be installed, a port is in use, or the data are damaged.
        TransientError: Azurite did not start.
    """
    _refuse_used_ports(ports)
    command = ensure_installed()
    data = None if in_memory else location or DATA
    with tempfile.TemporaryDirectory(prefix="azurite-") as scratch:
        command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        for service, port in ports._asdict().items():
            # Clients reuse connections. Azurite's default of 5 s would sometimes close one during a request.
            command += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
            command += [f"--{service}KeepAliveTimeout", "600"]
        command += ["--loose"] if accounts else []
        command += ["--inMemoryPersistence"] if data is None else ["--location", str(data)]
        log = Path(scratch) / "azurite.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=scratch,
                env={**os.environ, "AZURITE_ACCOUNTS": ";".join(map(":".join, (accounts or {}).items()))},
                stdin=subprocess.PIPE,  # its closing ends Azurite, see guard.cjs
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl+C must reach only this process, which stops Azurite after its last write.
                start_new_session=True,  # has no effect on Windows
                creationflags=_CREATION_FLAGS,  # has no effect elsewhere
            )
        try:
            yield Azurite(_wait_for_ports(process, log, ports, data), process.pid)
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


def _wait_for_ports(process: subprocess.Popen[bytes], log: Path, requested: Ports, data: Path | None) -> Ports:
    """Wait until Azurite has logged the ports of all three services."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text(encoding="utf-8", errors="replace")
        found = dict(re.findall(r"Azurite (\w+) service is successfully listening at \S+:(\d+)", text))
        if len(found) == len(Ports._fields):
            return Ports(*(int(found[service.capitalize()]) for service in Ports._fields))
        if process.poll() is not None:
            _refuse_used_ports(requested)  # another program may have taken one meanwhile
            _refuse_damaged_data(data)
            raise TransientError(f"Azurite did not start: {last_line(text)}")
        time.sleep(0.02)
    raise TransientError(f"Azurite did not start within {START_SECONDS:.0f} seconds.")


def _refuse_damaged_data(folder: Path | None) -> None:
    """Name the folder to delete where one of Azurite's databases is no JSON: a full disk may cut a file."""
    for database in sorted(folder.glob("__azurite_db_*.json")) if folder else ():
        text = database.read_bytes()
        try:
            json.loads(text) if text else None
        except ValueError:
            raise ConfigurationError(
                f"Azurite did not start: its file {database.name} is damaged. Delete the folder {folder}, and upload "
                "the images again: what it stored is lost."
            ) from None


def _refuse_used_ports(ports: Ports) -> None:
    for service, port in ports._asdict().items():
        if port and _is_used(port):
            raise ConfigurationError(
                f"Port {port} for Azurite's {service} service is used by another program: stop that program, or choose "
                f"another port with AZURITE_{service.upper()}_PORT or `python -m tools dev --{service}-port`."
            )


def _is_used(port: int) -> bool:
    with socket.socket() as probe:
        if os.name != "nt":  # on Windows it would allow a port in use; elsewhere it ignores connections in TIME_WAIT
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False
