"""Benches for the dev host's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tools.devhost.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.azurite.azurite import Azurite


@pytest.fixture
def bench(tmp_path: Path, azurite: Azurite) -> Iterator[Bench]:
    made = Bench(tmp_path, azurite)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory: pytest.TempPathFactory, azurite: Azurite) -> Iterator[Bench]:
    """One for a whole module, for tests whose blobs and messages have names of their own."""
    made = Bench(tmp_path_factory.mktemp("app"), azurite)
    yield made
    made.close()
