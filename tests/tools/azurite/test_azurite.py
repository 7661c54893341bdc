"""Azurite as a process: services, ports, data and its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from inference.errors import ConfigurationError
from tests.waiting import until
from tools.azurite import azurite as emulator
from tools.azurite.azurite import Azurite, Ports, ports_from_environ, running

ROOT = Path(__file__).resolve().parents[3]


def alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    # A zombie, which has ended but whose parent has not waited for it, still has a process ID.
    state = Path(f"/proc/{process_id}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_all_three_services_answer(azurite: Azurite) -> None:
    text = azurite.connection_string
    BlobServiceClient.from_connection_string(text).get_service_properties()
    QueueServiceClient.from_connection_string(text).get_service_properties()
    list(TableServiceClient.from_connection_string(text).list_tables())


def test_it_listens_on_loopback_only(azurite: Azurite) -> None:
    listening = Path("/proc/net/tcp")
    if not listening.exists():
        pytest.skip("needs /proc")
    ports = {f"{port:04X}" for port in azurite.ports}
    rows = [line.split() for line in listening.read_text().splitlines()[1:]]
    addresses = {row[1].split(":")[0] for row in rows if row[3] == "0A" and row[1].split(":")[1] in ports}
    assert addresses == {"0100007F"}


@pytest.mark.parametrize("name", ["__azurite_db_blob__.json", "__azurite_db_table__.json"])
def test_a_cut_database_names_the_folder_to_delete(tmp_path: Path, name: str) -> None:
    data = tmp_path / "my data"
    data.mkdir()
    (data / name).write_text('{"filename": "cut", "collections": [{"na')
    with pytest.raises(ConfigurationError, match=f"{name} is damaged. Delete the folder {data}"), running(data):
        pass


def test_data_outlives_a_stop(tmp_path: Path) -> None:
    with running(tmp_path / "data") as first:
        blobs = BlobServiceClient.from_connection_string(first.connection_string)
        blobs.create_container("kept").upload_blob("a.jpg", b"x")
    assert not alive(first.process_id)
    with running(tmp_path / "data") as second:
        blobs = BlobServiceClient.from_connection_string(second.connection_string)
        assert blobs.get_container_client("kept").download_blob("a.jpg").readall() == b"x"


def test_a_used_port_is_reported_with_its_service_and_a_remedy() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError) as refused, running(ports=Ports(0, port, 0), in_memory=True):
            pass
    assert str(refused.value) == (
        f"Port {port} for Azurite's queue service is used by another program: stop that program, or choose another "
        "port with AZURITE_QUEUE_PORT or `python -m tools dev --queue-port`."
    )


def test_a_port_is_free_again_after_a_stop() -> None:
    with running(in_memory=True) as first:
        pass
    with running(ports=first.ports, in_memory=True) as second:
        assert second.ports == first.ports


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_it_ends_when_its_parent_is_killed() -> None:
    script = (
        "import signal; from tools.azurite.azurite import running\n"
        "with running(in_memory=True) as it: print(it.process_id, flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        process_id = int(owner.stdout.readline())
        assert alive(process_id)
        owner.send_signal(signal.SIGKILL)
    until(lambda: not alive(process_id), "Azurite to end with its owner")


def test_ports_come_from_the_environment() -> None:
    assert ports_from_environ({}) == Ports(10000, 10001, 10002)
    assert ports_from_environ({"AZURITE_TABLE_PORT": "11002"}) == Ports(10000, 10001, 11002)
    for wrong in ("x", "-1", "65536", "1.5"):
        with pytest.raises(ConfigurationError, match="AZURITE_BLOB_PORT"):
            ports_from_environ({"AZURITE_BLOB_PORT": wrong})


def test_the_repr_of_a_running_emulator_has_no_key(azurite: Azurite) -> None:
    assert emulator.ACCOUNT_KEY not in repr(azurite)
