"""The part host of the bench: its ratios, what it says without its program, and a small measurement with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from tests.programs import needed
from tools.bench import command, real_host
from tools.bench.benchmarks import AT_ONCE, FIRST_IMAGES, FULL, NO_PHOTO
from tools.bench.ratios import ratios

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tools.bench.runner import Figure


def test_the_share_of_what_the_host_leaves(figure: Callable[..., Figure]) -> None:
    figures = {
        f"host / polling, {AT_ONCE}": figure((40.0, 20.0)),
        "host / polling, 12 MP": figure((10.0, 22.0)),
        "worker / polling, 12 MP": figure((10.0, 78.0)),
        "function path / polling, 12 MP": figure((20.0, 70.0)),
        "in memory / polling, 12 MP": figure((20.0, 55.0)),
    }
    found = {ratio.name: ratio for ratio in ratios(figures, {}, 2)}
    left = found["12 MP, polling: CPU of function path / worker"]
    assert left.value == pytest.approx(70 / 78)
    assert (left.goal, left.is_reached) == (0.9, False)
    share = found["12 MP, polling: CPU of host alone and function path / under the host"]
    assert share.value == pytest.approx((20 + 70) / (22 + 78))
    assert share.goal == 0.9
    assert share.is_reached
    in_memory = found["12 MP, polling: CPU of host alone and decode and inference / under the host"]
    assert in_memory.value == pytest.approx((20 + 55) / (22 + 78))
    assert found["12 MP, polling: the host's CPU ms for each image"].value == 22


def test_without_the_program_it_is_left_out_with_one_sentence(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(real_host, "find_program", lambda: None)
    monkeypatch.setattr(command, "_CACHE", cache)
    result = command.measure(["host"], FULL, None, Console(stderr=True, width=1000))
    assert not result.figures
    assert "The part host is left out. The program webjobs-host" in capsys.readouterr().err


def test_it_measures_host_worker_and_storage(
    cache: Path, small_photos: list[bytes], worker_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Event Grid alone, which misses no upload."""
    needed("webjobs-host")
    assert small_photos
    monkeypatch.setattr(real_host, "SOURCES", {"Event Grid": "EventGrid"})
    monkeypatch.setattr(real_host, "_WARM_UP", 1)
    monkeypatch.setattr(real_host, "_WARM_UP_BATCHES", 1)
    monkeypatch.setattr(real_host, "environment_of", lambda _base: worker_python)
    effort = replace(FULL, hosted={NO_PHOTO: 3, "0.3 MP": 2}, host_rounds=1, retry_seconds=0)
    figures = real_host.measure_host(
        effort, cache, lambda account: command.settings(account, cache), lambda _text: None
    )
    assert {name: figure.measurements[0].trial.images for name, figure in figures.items()} == {
        f"host / Event Grid, {FIRST_IMAGES}": 1,
        f"host / Event Grid, {AT_ONCE}": 3,
        f"storage / Event Grid, {AT_ONCE}": 3,
        "function path / Event Grid, 0.3 MP": 2,
        "in memory / Event Grid, 0.3 MP": 2,
        "host / Event Grid, 0.3 MP": 2,
        "worker / Event Grid, 0.3 MP": 2,
        "storage / Event Grid, 0.3 MP": 2,
    }
