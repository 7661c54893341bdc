"""The measurement asks real questions: a small run has answers, and a wrong answer or too many requests end it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.clients import connect
from storage.connection import Connection
from tools.maintainer.query_costs import measure
from tools.maintainer.query_costs.questions import questions
from tools.maintainer.query_costs.rows import fill, invented

if TYPE_CHECKING:
    from tests.conftest import Names
    from tools.azurite.azurite import Azurite


ROOT = Path(__file__).resolve().parents[4]


def test_the_document_has_the_costs_of_the_kept_run_which_reached_its_goals() -> None:
    kept = json.loads((ROOT / "benchmarks" / "query.json").read_text(encoding="utf-8"))
    document = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    found = [measure.Cost(**cost) for cost in kept["costs"]]
    assert [cost.question for cost in found] == [each.options for each in questions("site 0141/0050000.jpg")]
    assert [cost.line() for cost in found if cost.line() not in document] == []
    assert [cost for cost in found if cost.most_requests is not None and cost.requests > 3 + cost.rows / 1000] == []
    assert (kept["images"], kept["folders"]) == (100_000, 1000)


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
