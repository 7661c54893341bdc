"""A real run and the same one simulated: one instance, the dev host and an Azurite, on this machine.

Photos are uploaded first. Then the messages that Event Grid's webhook would put are put at once, and the clock runs
until every row is there. The simulation gets the calibration (one image at a time, before), the cores that other
programs leave us (tried before and after), and the structure: threads, messages in hand, Python's lock, and that app
and emulator share the cores. It gets nothing of the run itself. On a machine with other work the cores change under the
run; so a second simulation gets those that the run turned out to have, which leaves the model's own error.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simpy

from inference.errors import TransientError
from storage.clients import connect
from storage.settings import APP_ROOT, DEFAULTS, Connection
from tools.azurite import running
from tools.costing.photo import photo
from tools.processes import cpu_seconds
from tools.scale.calibrate import MEGAPIXELS, calibrate, cores_left
from tools.scale.instance import Machine
from tools.scale.journal import percentile
from tools.scale.limits import Fleet, Image, Limits, Setup
from tools.scale.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Generator

    from storage.clients import Clients
    from tools.scale.calibrate import Calibration

_HOST_ID = "scale"
_QUEUE = f"azure-webjobs-blobtrigger-{_HOST_ID}"
_HOST_REQUESTS = 2.2  # the host's own per message: look at the blob, delete, a fifth of a receive
_UP_S, _DONE_S = 60.0, 900.0


class SharedMachine(Machine):
    """App and emulator on the same cores: a request is work under Python's lock, then in the emulator's one thread."""

    def __init__(self, env: simpy.Environment, cores: float, calibration: Calibration, left: float) -> None:
        super().__init__(env, cores)
        self.slowness = cores / left
        self._calibration = calibration
        self._lock = simpy.Resource(env)
        self._emulator = simpy.Resource(env)

    def ask(self, requests: int, seconds: float) -> Generator[simpy.Event, Any, Any]:  # noqa: ARG002 - Azure's time
        """Both halves of so many requests; one by one, as others come between."""
        count = _HOST_REQUESTS if requests == 1 else float(requests)
        while count > 0:
            share = min(1.0, count)
            for held, cost_s in (
                (self._lock, self._calibration.client_s),
                (self._emulator, self._calibration.emulator_s),
            ):
                with held.request() as mine:
                    yield mine
                    yield from self.compute(share * cost_s)
            count -= share


def validate(images: int, azcopy: Path | None = None, seed: int = 1) -> dict[str, Any]:
    """Run both and say how far they are apart.

    Raises:
        TransientError: The host did not come up, or did not finish.
    """
    before = cores_left()
    calibration = calibrate()
    real, cpu_s = _really(images, azcopy)
    after = cores_left()
    used = cpu_s / max(real)
    told: dict[str, Any] = {
        "images": images,
        "calibration": calibration._asdict(),
        "cores_left": {"before": before, "after": after},
        "real": {**_summary(real), "cpu_s_per_image": cpu_s / images, "cores_used": used},
    }
    for name, cores in (("simulated", (before + after) / 2), ("simulated_with_the_cores_it_used", used)):
        summary = _summary(_simulated(images, calibration, cores, seed))
        told[name] = summary
        told[f"{name}_over_real"] = {key: value / told["real"][key] for key, value in summary.items()}
    return told


def _simulated(images: int, calibration: Calibration, left: float, seed: int) -> list[float]:
    cpus = os.cpu_count() or 1
    simulation = Simulation(
        [0.0] * images,
        Setup(
            Image(calibration.cpu_s, 0.0, 0.05, 0, 0.0),
            Fleet(cores=float(cpus), threads=min(32, cpus + 4)),
            limits=Limits(1e12, 1e12, 1e12, 1e12, 1e12, 1e12, burst_s=10.0),
        ),
        seed=seed,
        machine=lambda env, cores: SharedMachine(env, cores, calibration, left),
    )
    return simulation.run().latencies()


def _really(images: int, azcopy: Path | None) -> tuple[list[float], float]:
    """Seconds from the messages to each row, ascending; and the CPU time of host and emulator."""
    with tempfile.TemporaryDirectory(prefix="scale-") as scratch, running(in_memory=True) as azurite:
        clients = connect(Connection("ImageStorage", azurite.connection_string))
        clients.blobs.create_container("incoming")
        _upload(clients, images, azcopy, Path(scratch), azurite.ports.blob)
        environ = {
            **{name: value for name, value in os.environ.items() if name not in DEFAULTS},
            **DEFAULTS,
            "AzureWebJobsStorage": azurite.connection_string,
            "ImageStorage": azurite.connection_string,
            "AzureFunctionsWebHost__hostid": _HOST_ID,
            "BLOB_TRIGGER_SOURCE": "EventGrid",
            "RECONCILE_SCHEDULE": "0 0 0 1 1 *",
        }
        log = Path(scratch) / "host.log"
        with log.open("wb") as output:
            host = subprocess.Popen(
                [sys.executable, "-m", "tools", "host"], cwd=APP_ROOT, env=environ, stdout=output, stderr=output
            )
        try:
            queue = clients.queues.get_queue_client(_QUEUE)
            _until(lambda: b"The host is up." in log.read_bytes(), _UP_S, log)
            used = cpu_seconds(host.pid) + cpu_seconds(azurite.process_id)
            began = time.time()
            for number in range(images):
                queue.send_message(_message(number))
            rows = clients.tables.get_table_client("classifications")
            _until(lambda: log.read_bytes().count(b"image_settled ") >= images, _DONE_S, log)
            used = cpu_seconds(host.pid) + cpu_seconds(azurite.process_id) - used
            done = sorted(
                row["classified_at"].timestamp() - began for row in rows.list_entities(select=["classified_at"])
            )
        finally:
            host.send_signal(signal.SIGTERM)
            host.wait(60)
            clients.close()
    return done, used


def _upload(clients: Clients, images: int, azcopy: Path | None, scratch: Path, port: int) -> None:
    content = photo(MEGAPIXELS)
    if azcopy is None:
        incoming = clients.blobs.get_container_client("incoming")
        for number in range(images):
            incoming.upload_blob(_name(number), content)
        return
    from datetime import UTC, datetime, timedelta

    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    from tools.azurite import ACCOUNT, ACCOUNT_KEY

    photos = scratch / "site"
    photos.mkdir()
    for number in range(images):
        (photos / _name(number).rpartition("/")[2]).write_bytes(content)
    sas = generate_container_sas(
        ACCOUNT, "incoming", account_key=ACCOUNT_KEY,
        permission=ContainerSasPermissions(read=True, add=True, create=True, write=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip
    target = f"http://127.0.0.1:{port}/{ACCOUNT}/incoming?{sas}"
    subprocess.run(
        [str(azcopy), "copy", str(photos), target, "--recursive", "--from-to", "LocalBlob", "--output-level", "quiet"],
        check=True, env={**os.environ, "AZCOPY_LOG_LOCATION": str(scratch), "AZCOPY_JOB_PLAN_LOCATION": str(scratch)},
    )  # fmt: skip


def _name(number: int) -> str:
    return f"site/IMG_{number:05}.jpg"


def _message(number: int) -> str:
    told = {
        "Type": "BlobTrigger", "FunctionId": "Host.Functions.classify_uploaded", "BlobType": "BlockBlob",
        "ContainerName": "incoming", "BlobName": _name(number), "ETag": '"0x0"',
    }  # fmt: skip
    return base64.b64encode(json.dumps(told).encode()).decode()


def _until(happened: Any, seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TransientError(f"The host did not get there in {seconds:g} s. It said:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)


def _summary(seconds: list[float]) -> dict[str, float]:
    return {
        "images_per_s": len(seconds) / seconds[-1],
        "p50_s": percentile(seconds, 0.5),
        "p90_s": percentile(seconds, 0.9),
        "last_s": seconds[-1],
    }
