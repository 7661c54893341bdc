"""A command whose first request cannot reach storage ends at once; a later failure is left to the SDK's retries."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests

from storage.connection import Connection
from tools.__main__ import main
from tools.azurite.azurite import ACCOUNT_KEY, Ports, connection_string
from tools.failures.first_request import FirstRequestSession, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMANDS = (
    *(["backfill"], ["backfill", "--enqueue"], ["backfill", "--dry-run"], ["query", "--json"], ["reconcile"]),
    *(["redrive"], ["redrive", "--queue", "classify-requests-refused"], ["report", "-o", "REPORT"]),
    ["model", "publish", "models/shapes", "--to", "models/shapes"],
)
CONNECTION = Connection("ImageStorage", connection_string="AccountName=a")
OPTIONS: dict[str, Any] = {"headers": {}, "timeout": (10, 60)}


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404)
        if self.path == "/storage":
            self.send_header("x-ms-request-id", "1")
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def answering(port: int = 0) -> Iterator[int]:
    """A server that answers every GET with 404, on a port."""
    server = HTTPServer(("127.0.0.1", port), Answers)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry of the SDK, which this command must not come to, fails the test."""

    def refuse(_seconds: float) -> None:
        raise AssertionError("the SDK waits for a retry")

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr("azure.core.pipeline.transport._base.time.sleep", refuse)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wrong_account_name_ends_the_command_with_its_reason(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ImageStorage", f"AccountName=wrong;AccountKey={ACCOUNT_KEY};EndpointSuffix=storage.invalid")
    assert main([str(tmp_path / "r.html") if word == "REPORT" else word for word in command]) == 2
    printed = capsys.readouterr()
    assert "ImageStorage cannot be used: the host name wrong." in printed.err
    assert "check the account name in ImageStorage, and the DNS of this machine." in printed.err
    assert "The selection contains no image" not in printed.out


def test_a_wrong_port_ends_the_command_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ImageStorage", connection_string(Ports(*[unused_port()] * 3)))
    assert main(["query", "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "ImageStorage cannot be used: nothing listens at http://127.0.0.1:" in printed.err


def test_a_blocked_address_is_given_up_after_a_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts = []

    def blocked(*_: Any, timeout: tuple[float, float], **_options: Any) -> requests.Response:
        timeouts.append(timeout)
        raise requests.exceptions.ConnectTimeout

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", blocked)
    session = FirstRequestSession(CONNECTION, 1)
    for _ in range(2):  # the second one waits for nothing
        with pytest.raises(UnreachableError, match=r"https://a\.test does not answer: check for a firewall"):
            session.request("GET", "https://a.test/container?sig=secret", **OPTIONS)
    assert timeouts == [(4, 60)]


def test_a_proxy_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(UnreachableError, match=r"the proxy for https://a\.test cannot be used: check HTTP_PROXY"):
        FirstRequestSession(CONNECTION, 1).request("GET", "https://a.test/", **OPTIONS)


def test_an_outage_after_the_first_answer_is_left_to_the_retries() -> None:
    session = FirstRequestSession(CONNECTION, 1)
    with answering() as port:
        url = f"http://127.0.0.1:{port}/storage"
        assert session.request("GET", url, **OPTIONS).status_code == 404
    with pytest.raises(requests.exceptions.ConnectionError):
        session.request("GET", url, **OPTIONS)
    with answering(port):
        assert session.request("GET", url, **OPTIONS).status_code == 404


def test_a_server_that_is_no_storage_ends_the_command() -> None:
    with answering() as port, pytest.raises(UnreachableError, match="answers 404: check that this is a storage"):
        FirstRequestSession(CONNECTION, 1).request("GET", f"http://127.0.0.1:{port}/page", **OPTIONS)


def test_an_answer_that_is_cut_short_is_left_to_the_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: Any, **_options: Any) -> requests.Response:
        raise requests.exceptions.ConnectionError(ConnectionResetError())

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", cut)
    with pytest.raises(requests.exceptions.ConnectionError):
        FirstRequestSession(CONNECTION, 1).request("GET", "https://a.test/", **OPTIONS)
