"""One list of scenarios, run on the dev host and on Microsoft's extensions, and compared with recorded facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tools.hosts.scenarios import SCENARIOS

if TYPE_CHECKING:
    from tests.tools.hosts.lab import Lab

FOLDER = Path(__file__).parent
RECORDED = json.loads((FOLDER / "recorded.json").read_text(encoding="utf-8"))
OBSERVED = json.loads((FOLDER / "observed.json").read_text(encoding="utf-8"))  # adds to it


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_host_yields_the_recorded_facts(lab: Lab, name: str) -> None:
    facts = json.loads(json.dumps(SCENARIOS[name](lab)))
    assert facts == RECORDED.get(name, {}) | OBSERVED.get(name, {})
