"""Effective host limits: host.json, its overrides, and the worker's own settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from storage.host.config import HostLimits

HOST_JSON = Path(__file__).resolve().parents[3] / "host.json"


def limits(tmp_path: Path, document: object, processors: int = 2, **environ: str) -> HostLimits:
    path = tmp_path / "host.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return HostLimits.read(path, environ, processors)


def test_ours_are_those_of_the_file() -> None:
    document = json.loads(HOST_JSON.read_text())
    queues = document["extensions"]["queues"]
    read = HostLimits.read(HOST_JSON, {}, 2)
    assert read.blobs_at_once == document["extensions"]["blobs"]["maxDegreeOfParallelism"]
    assert read.messages_at_once == queues["batchSize"] + queues["newBatchThreshold"]
    assert (read.function_timeout_seconds, read.redelivery_seconds) == (1800, 10)
    assert (read.is_base64, read.is_dynamic) == (False, False)


@pytest.mark.parametrize("document", ["", "[]", "{", "{}", '{"extensions": 7}'], ids=repr)
def test_the_host_s_defaults_apply_without_a_readable_value(tmp_path: Path, document: str) -> None:
    read = limits(tmp_path, document, processors=4)
    assert (read.blobs_at_once, read.messages_at_once) == (32, 16 + 32)
    assert (read.function_timeout_seconds, read.redelivery_seconds) == (None, 0)
    assert (read.is_base64, read.is_dynamic, read.worker_processes, read.plan) == (True, False, 1, "")


def test_a_missing_file_is_all_defaults(tmp_path: Path) -> None:
    assert HostLimits.read(tmp_path / "host.json", {}, 1).blobs_at_once == 8


def test_the_consumption_plan_counts_one_processor(tmp_path: Path) -> None:
    assert limits(tmp_path, {}, processors=4, WEBSITE_SKU="Dynamic").blobs_at_once == 8


def test_an_app_setting_overrides_the_file_in_any_case(tmp_path: Path) -> None:
    document = {"extensions": {"blobs": {"maxDegreeOfParallelism": 8}, "queues": {"batchSize": 4}}}
    overrides: dict[str, Any] = {
        "AzureFunctionsJobHost__extensions__blobs__maxDegreeOfParallelism": "2",
        "AZUREFUNCTIONSJOBHOST__EXTENSIONS__QUEUES__BATCHSIZE": "1",
        "AzureFunctionsJobHost__extensions__queues__newBatchThreshold": "0",
        "AzureFunctionsJobHost__functionTimeout": "-1",
        "AzureFunctionsJobHost__concurrency__dynamicConcurrencyEnabled": "true",
    }
    read = limits(tmp_path, document, **overrides)
    assert (read.blobs_at_once, read.messages_at_once, read.is_dynamic) == (2, 1, True)
    assert read.function_timeout_seconds is None


@pytest.mark.parametrize(
    ("text", "processors", "threads", "chosen"),
    [
        (None, 1, 5, False),
        (None, 64, 32, False),
        ("12", 1, 12, True),
        ("0", 2, 6, False),
        ("many", 2, 6, False),
        ("", 2, 6, False),
    ],
)
def test_the_worker_s_threads(tmp_path: Path, text: str | None, processors: int, threads: int, *, chosen: bool) -> None:
    environ: dict[str, Any] = {} if text is None else {"PYTHON_THREADPOOL_THREAD_COUNT": text}
    read = limits(tmp_path, {}, processors, **environ)
    assert (read.pool_threads, read.is_pool_chosen) == (threads, chosen)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:10:00", 600), ("1.00:00:00", 86400), ("00:00:10.5000000", 10), ("-1", None), ("soon", None), (600000, None)],
    ids=str,
)
def test_time_spans(tmp_path: Path, text: object, seconds: float | None) -> None:
    assert limits(tmp_path, {"functionTimeout": text}).function_timeout_seconds == seconds
