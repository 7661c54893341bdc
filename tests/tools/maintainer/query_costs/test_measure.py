"""The measurement asks real questions: a small run has answers, and a wrong answer or too many requests end it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from storage.clients import connect
from storage.connection import Connection
from tools.maintainer.query_costs import measure
from tools.maintainer.query_costs.rows import fill, invented

if TYPE_CHECKING:
    from tests.conftest import Names
    from tools.azurite.azurite import Azurite


def test_a_small_run(azurite: Azurite, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    records = list(invented(images=300, folders=6, seed=1))
    assert records == list(invented(images=300, folders=6, seed=1))
    clients = connect(Connection("ImageStorage", azurite.connection_string))
    table = names.table("rows")
    classified = sum(each.label is not None for each in records)
    captured = sum(each.taken_at is not None for each in records)
    assert fill(clients.tables, table, records) == 2 * len(records) + classified + captured
    found = list(measure.costs(clients.tables, table, records))
    answered = [cost for cost in found if cost.rows]
    assert len(answered) >= 20
    assert found[-1].rows == len(records)
    assert all(0 < cost.first_row_seconds <= cost.seconds and cost.requests for cost in answered)
    with pytest.raises(ValueError, match="other images"):
        list(measure.costs(clients.tables, table, [*records[:-1], replace(records[-1], blob_name="another.jpg")]))
    monkeypatch.setattr("storage.query.query.Query.requests", 4)
    with pytest.raises(ValueError, match="4 requests for 1 rows"):
        list(measure.costs(clients.tables, table, records))
    clients.close()
