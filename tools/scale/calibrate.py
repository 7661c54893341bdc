"""This machine's inputs: what an image, its requests and the emulator take of the CPU, one image at a time.

Nothing of it is taken from the run that the simulation is held against.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from inference import classifier
from storage.blobs import SourceBlobs
from storage.clients import connect
from storage.records import Image
from storage.results import Results
from storage.settings import Connection
from storage.settle import Desk, settle
from tools.azurite import running
from tools.costing.photo import photo
from tools.processes import cpu_seconds

if TYPE_CHECKING:
    from inference.predictions import Classification

_IMAGES = 40
_REQUESTS = 6
_SPIN_S = 3.0
MEGAPIXELS = 2.0


class Calibration(NamedTuple):
    """CPU seconds.

    Attributes:
        cpu_s: Decoding and inference of one image.
        client_s: One request, in the app's process (most of it under Python's lock).
        emulator_s: One request, in Azurite.
    """

    cpu_s: float
    client_s: float
    emulator_s: float


def calibrate(model: Path = Path("models/shapes")) -> Calibration:
    """Settle images one by one against an Azurite and look at the CPU clocks."""
    loaded = classifier.load(model)
    inference_s: list[float] = []

    class Timed:
        model = loaded.model

        def classify(self, content: bytes) -> Classification:
            started = time.thread_time()
            answer = loaded.classify(content)
            inference_s.append(time.thread_time() - started)
            return answer

    all_s = []
    with running(in_memory=True) as azurite:
        clients = connect(Connection("ImageStorage", azurite.connection_string))
        desk = Desk(SourceBlobs(clients.blobs, 2**26), Results(clients, table="rows", container="results"))
        incoming = clients.blobs.create_container("incoming")
        content = photo(MEGAPIXELS)
        for number in range(_IMAGES):
            incoming.upload_blob(f"site/{number}.jpg", content)
        settle(desk, Timed(), Image("incoming", "site/0.jpg"))  # makes what is missing
        emulator = cpu_seconds(azurite.process_id)
        for number in range(1, _IMAGES):
            started = time.process_time()
            settle(desk, Timed(), Image("incoming", f"site/{number}.jpg"))
            all_s.append(time.process_time() - started)
        emulator = cpu_seconds(azurite.process_id) - emulator
        clients.close()
    cpu_s = statistics.median(inference_s)
    return Calibration(cpu_s, (statistics.median(all_s) - cpu_s) / _REQUESTS, emulator / (_IMAGES - 1) / _REQUESTS)


def cores_left() -> float:
    """How many cores this machine has left for us: what as many busy processes as it has CPUs get of them."""
    count = os.cpu_count() or 1
    with multiprocessing.Pool(count) as pool:
        return sum(pool.map(_spin, [_SPIN_S] * count))


def _spin(seconds: float) -> float:
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        pass
    return (time.process_time() - cpu) / (time.perf_counter() - wall)
