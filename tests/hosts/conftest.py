"""A lab for each scenario: accounts that nothing else uses, and the host that the test names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hosts.lab import Lab
from tests.programs import needed
from tests.tools.webjobs import conftest as webjobs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.webjobs.conftest import Accounts

accounts = webjobs.accounts  # one Azurite with many accounts


@pytest.fixture
def dev_host(accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    pair = accounts.pair()
    monkeypatch.setenv("ImageStorage", pair.images)  # where the bindings extension looks for it
    return Lab(None, pair, tmp_path)


@pytest.fixture
def extensions(accounts: Accounts, tmp_path: Path) -> Lab:
    return Lab(needed("webjobs-host"), accounts.pair(), tmp_path)
