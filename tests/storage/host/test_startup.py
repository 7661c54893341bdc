"""The startup line, and each warning about settings that do not fit each other or the machine."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference.predictions import ModelIdentity
from storage.connection import DEVELOPMENT_STORAGE
from storage.host.config import HostLimits
from storage.host.startup import Startup
from storage.settings import DEFAULTS, Settings

HOST_JSON = Path(__file__).resolve().parents[3] / "host.json"
MIB = 1024 * 1024


def start(
    cpus: int = 1,
    *,
    budget_mib: int = 768,
    available_mib: int = 1728,
    settings: dict[str, str] | None = None,
    processors: int | None = None,
    environ: dict[str, str] | None = None,
    **changed: Any,
) -> Startup:
    """A Flex Consumption instance of 2 GB, as the infrastructure sets it up, unless something is changed."""
    azure = {"ImageStorage__accountName": "images", "BLOB_TRIGGER_SOURCE": "EventGrid"}
    environ = {"WEBSITE_SKU": "FlexConsumption", "PYTHON_THREADPOOL_THREAD_COUNT": "16"} if environ is None else environ
    limits = HostLimits.read(HOST_JSON, environ, processors or cpus)
    return Startup(
        settings=Settings.from_environ({**azure, **(settings or {})}),
        limits=replace(limits, **changed),
        cpus=cpus,
        intra_op_threads=1,
        budget_bytes=budget_mib * MIB,
        available_bytes=available_mib * MIB,
        model=ModelIdentity('a "model"', "0123456789ab"),
        versions={"python": "3.13.0", "onnxruntime": "1.31.1"},
    )


def found(startup: Startup) -> list[str]:
    return [warning.problem for warning in startup.warnings()]


def test_labels_without_a_queue_are_a_warning() -> None:
    (warning,) = (each for each in start(settings={"NOTIFY_LABELS": "fox"}).warnings() if "NOTIFY" in each.problem)
    assert warning.remedy == "Set NOTIFY_QUEUE, or remove NOTIFY_LABELS."
    with_queue = start(settings={"NOTIFY_LABELS": "fox", "NOTIFY_QUEUE": "foxes"})
    assert not [each for each in found(with_queue) if "NOTIFY" in each]


class TestLine:
    def test_is_one_line_of_distinct_fields(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        start(cpus=2, processors=64).log(load_seconds=1.5)
        (line,) = caplog.messages
        fields = dict(re.findall(r' (\w+)=("(?:\\.|[^"\\])*"|\S+)', line))
        assert line.startswith("app_started ")
        assert json.loads(fields.pop("model")) == 'a "model"'
        assert fields == {
            "load_ms": "1500",
            "model_version": "0123456789ab",
            "cpus": "2",
            "intra_op_threads": "1",
            "pool_threads": "16",
            "worker_processes": "1",
            "blobs_at_once": "8",
            "messages_at_once": "6",
            "decode_budget_mib": "768",
            "max_image_bytes": DEFAULTS["MAX_IMAGE_BYTES"],
            "max_image_pixels": DEFAULTS["MAX_IMAGE_PIXELS"],
            "damaged_images": "reject",
            "source": "EventGrid",
            "plan": '"FlexConsumption"',
            "python": "3.13.0",
            "onnxruntime": "1.31.1",
        }

    def test_leaves_out_a_model_that_is_not_there_yet(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        replace(start(), model=None).log(load_seconds=1.5)
        assert "model" not in caplog.text.split("app_started")[1].split("cpus=")[0]

    def test_shows_when_the_host_chooses_for_itself(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        start(is_dynamic=True).log(load_seconds=1.5)
        assert " blobs_at_once=dynamic messages_at_once=dynamic " in caplog.text

    def test_is_followed_by_a_warning_with_its_remedy(self, caplog: pytest.LogCaptureFixture) -> None:
        startup = start(pool_threads=2)
        startup.log(load_seconds=1.5)
        (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
        (expected,) = startup.warnings()
        fields = re.fullmatch(r"settings_warning problem=(.*) do=(.*)", warning.getMessage())
        assert fields
        assert "PYTHON_THREADPOOL_THREAD_COUNT=8" in expected.remedy
        assert expected == (json.loads(fields[1]), json.loads(fields[2]), False)

    def test_is_followed_by_an_error_where_images_would_stay_unprocessed(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        start(settings={"BLOB_TRIGGER_SOURCE": "LogsAndContainerScan"}).log(load_seconds=1.5)
        (warning,) = [record for record in caplog.records if "settings_warning" in record.getMessage()]
        assert warning.levelno == logging.ERROR


class TestNoWarning:
    @pytest.mark.parametrize("cpus", [1, 2])
    def test_on_flex_as_deployed(self, cpus: int) -> None:
        assert found(start(cpus=cpus)) == []

    @pytest.mark.parametrize("processors", [1, 2, 8, 16])
    def test_on_a_developer_s_machine_as_shipped(self, processors: int) -> None:
        local = {"ImageStorage": DEVELOPMENT_STORAGE, "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan"}
        assert found(start(cpus=processors, settings=local, environ={}, available_mib=16_000)) == []

    def test_in_a_container_with_half_a_core_of_a_large_machine(self) -> None:
        startup = start(cpus=1, processors=64, environ={}, settings={"BLOB_TRIGGER_SOURCE": "LogsAndContainerScan"})
        assert (startup.cpus, startup.limits.pool_threads) == (1, 32)
        assert found(startup) == []


class TestWarning:
    def test_of_a_pool_that_is_smaller_than_what_the_host_hands_over(self) -> None:
        (problem,) = found(start(pool_threads=5))
        assert "hands over 8" in problem
        assert "threads for 5" in problem

    def test_of_the_worker_s_default_pool_where_other_instances_could_help(self) -> None:
        """One core on Flex: five threads for eight uploads."""
        assert any("threads for 5" in problem for problem in found(start(environ={"WEBSITE_SKU": "FlexConsumption"})))

    def test_of_cpus_that_stay_idle(self) -> None:
        (problem,) = found(start(cpus=64))
        assert "64 CPUs" in problem

    def test_of_several_processes_that_each_take_the_whole_budget(self) -> None:
        startup = start(worker_processes=4)
        (warning,) = startup.warnings()
        assert "4 worker processes may take 768 MiB each" in warning.problem
        assert "FUNCTIONS_WORKER_PROCESS_COUNT=1" in warning.remedy
        assert "DECODE_BUDGET_MIB=432" in warning.remedy

    def test_of_several_processes_even_where_memory_is_enough(self) -> None:
        (problem,) = found(start(worker_processes=2, available_mib=4000))
        assert "2 models" in problem

    def test_of_a_budget_that_is_not_there(self) -> None:
        (warning,) = start(budget_mib=2000).warnings()
        assert "1728 MiB are there" in warning.problem

    def test_of_images_that_no_memory_can_hold(self) -> None:
        (problem,) = found(start(budget_mib=200, available_mib=200))
        assert "200,000,000 pixels" in problem
        assert "52,428,800" in problem

    def test_of_files_that_are_larger_than_the_whole_budget(self) -> None:
        (problem,) = found(start(settings={"MAX_IMAGE_BYTES": str(1000 * MIB)}))
        assert "MAX_IMAGE_BYTES admits 1000 MiB" in problem

    def test_of_event_grid_on_the_emulator(self) -> None:
        (problem,) = found(start(settings={"ImageStorage": DEVELOPMENT_STORAGE}))
        assert "Azurite sends no events" in problem

    def test_of_polling_on_flex(self) -> None:
        (problem,) = found(start(settings={"BLOB_TRIGGER_SOURCE": "LogsAndContainerScan"}))
        assert "EventGrid only" in problem

    @pytest.mark.parametrize("seconds", [None, 3600.0])
    def test_of_a_function_that_may_hang(self, seconds: float | None) -> None:
        (problem,) = found(start(function_timeout_seconds=seconds))
        assert problem.startswith("functionTimeout")

    def test_of_messages_that_are_hidden_for_longer_than_a_function_may_take(self) -> None:
        (problem,) = found(start(redelivery_seconds=2400.0))
        assert "2400 s" in problem

    def test_of_messages_in_another_encoding(self) -> None:
        (problem,) = found(start(is_base64=True))
        assert "messageEncoding" in problem
