"""Photos and networks are rendered once per session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.bench.inputs.photos import KINDS, photos
from tools.bench.machine import Disturbance
from tools.bench.runner import Figure, Measurement
from tools.bench.trials import Trial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="session")
def small_photos(cache: Path) -> list[bytes]:
    return photos(KINDS["0.3 MP"], cache)


@pytest.fixture
def figure() -> Callable[..., Figure]:
    """Makes a figure of undisturbed trials, each given as images per second and CPU ms."""

    def make(*trials: tuple[float, float]) -> Figure:
        quiet = Disturbance(0.01, 0.0)
        return Figure(len(trials), [Measurement(Trial(10, rate, cpu_ms), quiet) for rate, cpu_ms in trials])

    return make
