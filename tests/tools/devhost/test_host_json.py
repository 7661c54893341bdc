from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from inference.errors import ConfigurationError
from tools.devhost.host_json import read_host_json, time_span

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("parallelism", "batch", "threshold"), [(1, 1, 0), (4, 3, 1), (8, 5, 3), (100, 32, 68)], ids=str
)
def test_blob_parallelism_becomes_batch_and_threshold_as_in_the_extension(
    tmp_path: Path, parallelism: int, batch: int, threshold: int
) -> None:
    document = {"extensions": {"blobs": {"maxDegreeOfParallelism": parallelism, "poisonBlobThreshold": 2}}}
    (tmp_path / "host.json").write_text(json.dumps(document))
    options = read_host_json(tmp_path, 1).blob_queue
    assert (options.batch_size, options.new_batch_threshold, options.max_dequeue_count) == (batch, threshold, 2)


def test_queue_settings_do_not_touch_blob_triggers(tmp_path: Path) -> None:
    queues = {"batchSize": 4, "maxDequeueCount": 9, "visibilityTimeout": "00:00:30", "messageEncoding": "none"}
    (tmp_path / "host.json").write_text(json.dumps({"extensions": {"queues": queues}}))
    options = read_host_json(tmp_path, 2)
    assert (options.queues.batch_size, options.queues.new_batch_threshold) == (4, 4)
    assert (options.queues.max_dequeue_count, options.queues.failure_delay_seconds) == (9, 30)
    assert not options.queues.base64
    assert (options.blob_queue.max_dequeue_count, options.blob_queue.failure_delay_seconds) == (5, 0)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ('{"extensions": {"queues": {"batchSize": 33}}}', "extensions.queues.batchSize"),
        ('{"extensions": {"blobs": {"poisonBlobThreshold": "5"}}}', "extensions.blobs.poisonBlobThreshold"),
        ('{"extensions": []}', "extensions must be an object"),
        ("{", "host.json cannot be read"),
        ("[]", "host.json must hold a JSON object"),
    ],
    ids=["too-big", "no-number", "no-object", "no-json", "a-list"],
)
def test_a_wrong_host_json_is_refused_by_name(tmp_path: Path, document: str, named: str) -> None:
    (tmp_path / "host.json").write_text(document)
    with pytest.raises(ConfigurationError, match=named):
        read_host_json(tmp_path, 1)


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:00:10", 10), ("1.00:00:00", 86400), ("00:01:00.5", 60.5), (250, 0.25)], ids=str
)
def test_time_spans_are_read_as_dotnet_writes_them(text: object, seconds: float) -> None:
    assert time_span(text) == seconds


@pytest.mark.parametrize("text", ["10:", "25:00", "1h", "", None, True, -1], ids=repr)
def test_what_is_no_time_span_is_refused(text: object) -> None:
    with pytest.raises(ConfigurationError):
        time_span(text)
