"""The kills of a soak under the real extensions, with a stand-in for the app: a soak itself takes half an hour."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from inference.errors import ConfigurationError, TransientError
from tests.waiting import until
from tools.chaos import idle, webjobs_process
from tools.chaos.idle import IdleDetector
from tools.chaos.storage_names import INCOMING, INTERNAL_QUEUE
from tools.chaos.webjobs_process import WebJobsProcess, running_webjobs
from tools.chaos.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.azurite.azurite import Azurite


class App:
    """Stands in for ``AppHost``: counts, and can end by itself or fail to start."""

    failing_starts = 0

    def __init__(self, _program: Path, _python: Path, _settings: dict[str, str], folder: Path) -> None:
        self._fail_if_requested()
        log = folder / "webjobs-host.log"
        log.write_text("[Error] The lock is lost.\n")
        self.host = SimpleNamespace(exit_code=None, log=log.read_text(), log_file=log)
        self.worker_log = 'INFO:x:image_finished image="a" outcome=committed status=classified \n'
        (folder / "worker.log").write_text(self.worker_log)
        self.worker_starts = 1
        self.host_starts = 1

    def _fail_if_requested(self) -> None:
        if type(self).failing_starts:
            type(self).failing_starts -= 1
            raise TransientError("It did not start.")

    def kill_worker(self) -> None:
        self.worker_starts += 1

    def restart_host(self) -> None:
        self._fail_if_requested()
        self.host.exit_code = None
        self.host_starts += 1

    def close(self) -> None:
        pass


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebJobsProcess]:
    monkeypatch.setattr(webjobs_process, "AppHost", App)
    monkeypatch.setattr(webjobs_process, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(webjobs_process, "_PAUSE_SECONDS", (0.001, 0.002))
    monkeypatch.setattr(webjobs_process, "_HOST_PAUSE_SECONDS", (0.005, 0.01))
    monkeypatch.setattr(App, "failing_starts", 2)
    made = WebJobsProcess(Path("program"), Path("python"), {}, tmp_path, 1)
    yield made
    made.close(tmp_path / "kept.log")
    assert "The lock is lost" in (tmp_path / "kept.log").read_text()
    assert "image_finished" in (tmp_path / "kept.log").read_text()


def test_host_and_worker_are_killed_until_the_kills_stop(process: WebJobsProcess) -> None:
    assert process.failed_starts == 2, "the first start is tried again"
    until(lambda: process.kills > 2 and process.worker_kills > 2)
    process.stop_kills()
    assert process.count_events() == {"committed": 1}


def test_a_host_that_ends_by_itself_is_started_again(process: WebJobsProcess) -> None:
    process.stop_kills()
    app: App = process._app  # type: ignore[assignment]  # the stand-in
    App.failing_starts = 1
    app.host.exit_code = 1
    until(lambda: app.host.exit_code is None)
    assert process.exits == ["[Error] The lock is lost."]
    assert process.failed_starts == 3


def test_a_run_is_idle_although_the_scanner_has_missed_an_upload(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "_QUIET_SECONDS", 0.2)
    monkeypatch.setattr(idle, "_POLL_SECONDS", 0.05)
    workload = Workload(azurite.connection_string, [])
    workload.create_resources()
    blobs = BlobServiceClient.from_connection_string(azurite.connection_string)
    queue = QueueServiceClient.from_connection_string(azurite.connection_string).get_queue_client(INTERNAL_QUEUE)
    incoming = blobs.get_container_client(INCOMING)
    incoming.upload_blob("missed.jpg", b"")
    try:
        detector = IdleDetector(azurite.connection_string, polling=True, running_triggers=int, misses_uploads=True)
        detector.wait_until_idle()
        assert "missed.jpg" in detector.unqueued_blobs()
        queue.send_message("hidden", visibility_timeout=60)
        busy = IdleDetector(
            azurite.connection_string, polling=True, running_triggers=int, misses_uploads=True, timeout_seconds=0.5
        )
        with pytest.raises(TransientError, match="to stay empty"):
            busy.wait_until_idle()
    finally:
        queue.clear_messages()
        incoming.delete_blob("missed.jpg")


def test_a_missing_program_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webjobs_process, "find_program", lambda: None)
    with pytest.raises(ConfigurationError, match="webjobs-host"), running_webjobs({}, tmp_path / "log", 1):
        pass
