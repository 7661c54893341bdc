"""A lab for each scenario: accounts that nothing else uses, and the host that the test names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.programs import needed
from tests.tools.hosts.lab import Lab
from tests.tools.webjobs import conftest as webjobs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.tools.webjobs.conftest import Pair

pairs = webjobs.pairs  # one Azurite with pairs of accounts


@pytest.fixture(params=["dev host", "webjobs-host"])
def lab(
    request: pytest.FixtureRequest, pairs: Callable[[], Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Lab:
    program = needed("webjobs-host") if request.param == "webjobs-host" else None
    pair = pairs()
    monkeypatch.setenv("ImageStorage", pair.images)  # where the bindings extension looks for it
    return Lab(program, pair, tmp_path)
