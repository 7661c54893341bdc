"""Each worker measures what it claims to measure."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import numpy as np
import pytest

from inference.errors import ConfigurationError
from inference.model.folder import load_model
from tests.tools.bench.tensors import tensor_of
from tools.azurite.azurite import running
from tools.bench.command import settings
from tools.bench.inputs.emulator import fill
from tools.bench.inputs.networks import CLASSES, model_folder
from tools.bench.workers.app import bare_tensor
from tools.bench.workers.bare_sdk import kind
from tools.bench.workers.baselines import classify as classify_as_sample
from tools.bench.workers.function_path import recorded_requests
from tools.bench.workers.process import start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_the_bare_loop_computes_the_apps_tensor(cache: Path, small_photos: list[bytes]) -> None:
    """Otherwise the comparison of their speed would mean nothing."""
    model = load_model(model_folder("MobileNetV2", cache))
    for photo in small_photos:
        difference = np.abs(bare_tensor(photo).astype(float) - tensor_of(model, photo))
        assert difference.mean() < 0.02  # values have unit spread; a tenth of a grey level of 0..255 is 0.002


def test_the_baseline_classifies(cache: Path, small_photos: list[bytes]) -> None:
    session = load_model(model_folder("MobileNetV2", cache)).session._session
    assert {classify_as_sample(session, photo) for photo in small_photos} <= set(range(CLASSES))


@pytest.fixture
def server() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving.server_port
        serving.shutdown()


def test_requests_are_recorded_during_the_block_only(server: int) -> None:
    def put() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server)
        connection.request("PUT", "/devstoreaccount1/results/a%20b.json?comp=x")
        connection.getresponse().read()
        connection.close()

    with recorded_requests({server: "blob"}) as requests:
        put()
    put()
    assert requests == ["blob PUT results/a b.json"]


@pytest.mark.parametrize("request_line", ["queue POST classify-requests/messages", "table POST $batch"])
def test_a_request_without_a_bare_counterpart_is_named(request_line: str) -> None:
    assert kind("table POST classifications", ["table POST"]) == "table POST"
    with pytest.raises(ConfigurationError, match=request_line.partition("$")[0]):
        kind(request_line, ["table POST"])


@pytest.fixture(scope="module")
def environ(cache: Path, small_photos: list[bytes]) -> Iterator[dict[str, str]]:
    """Settings of an emulator that holds four small photos under the names that the bench uses.

    It is an emulator of its own, as in the bench: other tests of this process may use these names.
    """
    assert small_photos
    with running(in_memory=True) as emulator:
        fill(emulator.connection_string, cache, {"0.3 MP": 4})
        yield settings(emulator.connection_string, cache)


def test_function_path_and_bare_calls_send_the_same_number_of_requests(environ: dict[str, str], cache: Path) -> None:
    """A fresh upload may cost six requests and a duplicate two."""
    with (
        start_worker("function_path", cache, environ=environ) as app,
        start_worker("bare_sdk", cache, environ=environ) as sdk,
    ):
        requests = app.call("requests", photo="0.3 MP").extra
        assert len(requests["fresh"]) <= 6
        assert len(requests["duplicate"]) <= 2
        for function in ("function", "duplicate", "classify"):
            assert app.call(function, photo="0.3 MP", images=4).images == 4
        assert sdk.call("calls", photo="0.3 MP", images=4, threads=2, requests=requests["fresh"]).images == 4


def test_a_backfill_has_new_results_each_time(environ: dict[str, str], cache: Path) -> None:
    with start_worker("backfill", cache, environ=environ) as worker:
        assert [worker.call("backfill", photo="0.3 MP").images for _ in range(2)] == [4, 4]
        assert worker.call("backfill", photo="").images == 1


def test_a_worker_that_ends_is_named(cache: Path) -> None:
    with start_worker("app", cache) as worker, pytest.raises(ConfigurationError, match="app ended at nonsense"):
        worker.call("nonsense")
