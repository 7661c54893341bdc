"""What the commands' tests share: an account of the test's own, found through the environment as a user's would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.account import Account, open_account

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite


@pytest.fixture
def empty_account(azurite: Azurite, names: Names, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """A reachable account without any container, queue or table of this test's."""
    monkeypatch.setenv("AzureWebJobsStorage", azurite.connection_string)
    monkeypatch.setenv("ImageStorage", azurite.connection_string)
    monkeypatch.setenv("INCOMING_CONTAINER", names.container("incoming"))
    monkeypatch.setenv("RESULTS_CONTAINER", names.container("results"))
    monkeypatch.setenv("RESULTS_TABLE", names.table("rows"))
    with open_account() as made:
        yield made


@pytest.fixture
def account(empty_account: Account) -> Account:
    """The same with an incoming container to put blobs in."""
    empty_account.clients.blobs.create_container(empty_account.settings.incoming_container)
    return empty_account
