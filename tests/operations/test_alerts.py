"""What ``infra/alerts.bicep`` asks Azure to watch, read from its parse tree: queries, windows, metrics, people."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.infra.bicep import INFRA, Expression, read, text, walk
from tests.operations.kusto import queries

FILE = read(INFRA / "alerts.bicep")
RULES: list[dict[str, Any]] = FILE.variables["rules"]
OPERATIONS = (INFRA.parent / "docs" / "operations.md").read_text(encoding="utf-8")
SCHEDULED = "Microsoft.Insights/scheduledQueryRules"
METRIC = "Microsoft.Insights/metricAlerts"

# What Azure takes for a log alert (scheduledQueryRules 2023-12-01), in minutes.
WINDOWS = {1, 5, 10, 15, 30, 45, 60, 120, 180, 240, 300, 360, 1440, 2880}
FREQUENCIES = {1, 5, 10, 15, 30, 45, 60, 120, 180, 240, 300, 360, 1440}
# Metrics by the resource they belong to, and the finest grain they come in, in minutes (Azure Monitor's own lists).
METRICS = {
    ("Microsoft.EventGrid/systemTopics", "DeliveryAttemptFailCount"): 1,
    ("Microsoft.Storage/storageAccounts/queueServices", "QueueMessageCount"): 60,
}


def minutes(written: str) -> int:
    duration = FILE.params[written] if isinstance(written, Expression) else written
    match = re.fullmatch(r"P(?:(\d+)D|T(\d+)(H|M))", duration)
    assert match, f"{duration} is no duration"
    days, number, unit = match.groups()
    return int(days) * 1440 if days else int(number) * (60 if unit == "H" else 1)


def loaded(rule: dict[str, Any]) -> str:
    match = re.fullmatch(r"loadTextContent\('queries/(\w+)\.kql'\)", rule["query"])
    assert match
    return match[1]


def metric_alerts() -> list[dict[str, Any]]:
    return [each.body for each in FILE.resources.values() if each.type == METRIC]


def names() -> set[str]:
    return {rule["name"] for rule in RULES} | {alert["name"] for alert in metric_alerts()}


def test_parses() -> None:
    assert [text(node) for node in walk(FILE.root) if node.type == "ERROR" or node.is_missing] == []


def test_every_alert_query_has_a_rule_and_every_rule_a_query() -> None:
    assert sorted(map(loaded, RULES)) == sorted(name for name in queries() if name.startswith("alert_"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["name"]))
def test_a_window_is_one_that_azure_takes_and_looked_at_often_enough(rule: dict[str, Any]) -> None:
    window, every = minutes(rule["window"]), minutes(rule["every"])
    assert window in WINDOWS
    assert every in FREQUENCIES
    assert every <= window, "what happens between two looks would be missed"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["name"]))
def test_a_rule_fires_on_rows_or_for_a_sign_of_life_on_none(rule: dict[str, Any]) -> None:
    alive = loaded(rule) == "alert_silent"
    assert (rule["operator"], rule["threshold"] >= 1 if alive else rule["threshold"] >= 0) == (
        ("LessThan", True) if alive else ("GreaterThan", True)
    )


def test_the_sign_of_life_may_be_missed_once() -> None:
    """The reconciliation runs once an hour; one that is late or interrupted is no reason to wake somebody."""
    (rule,) = [rule for rule in RULES if loaded(rule) == "alert_silent"]
    assert minutes(rule["window"]) >= 2 * 60 + 30


def test_log_alerts_take_everything_from_their_rule() -> None:
    alert = FILE.only(SCHEDULED)
    properties = alert.body["properties"]
    (criterion,) = properties["criteria"]["allOf"]
    assert alert.api_version == "2023-12-01"
    assert properties["scopes"] == ["applicationInsightsId"]
    assert (properties["windowSize"], properties["evaluationFrequency"]) == ("rule.window", "rule.every")
    assert (criterion["query"], criterion["operator"], criterion["threshold"]) == (
        *("rule.query", "rule.operator", "rule.threshold"),
    )
    assert criterion["timeAggregation"] == "Count"
    assert properties["actions"] == {"actionGroups": "recipients"}


@pytest.mark.parametrize("alert", metric_alerts(), ids=lambda alert: str(alert["name"]))
def test_a_metric_is_one_that_is_there_and_looked_at_in_its_own_grain(alert: dict[str, Any]) -> None:
    properties = alert["properties"]
    (criterion,) = properties["criteria"]["allOf"]
    grain = METRICS[criterion["metricNamespace"], criterion["metricName"]]
    assert minutes(properties["windowSize"]) >= max(grain, minutes(properties["evaluationFrequency"]))
    assert alert["location"] == "global"
    assert properties["actions"] == "metricRecipients"


def test_nobody_is_told_where_no_address_is_given() -> None:
    assert FILE.params["alertEmail"] == ""
    assert {FILE.variables["recipients"], FILE.variables["metricRecipients"]} == {
        "empty(alertEmail) ? [] : [people.id]",
        "empty(alertEmail) ? [] : [{ actionGroupId: people.id }]",
    }


@pytest.mark.parametrize("name", sorted(names()))
def test_the_runbook_says_what_to_do(name: str) -> None:
    section = re.search(rf"^### {name}$(.+?)(?=^##)", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert section, f"docs/operations.md says nothing of {name}"
    assert len(section[1]) > 100


def test_the_runbook_knows_no_other_alert() -> None:
    alerts = OPERATIONS.split("\n## Alerts")[1].split("\n## ")[0]
    assert set(re.findall(r"^### (\S+)$", alerts, re.MULTILINE)) == names()


def test_the_main_file_gives_every_parameter_that_is_needed() -> None:
    given = {
        name
        for module in read(INFRA / "main.bicep").modules.values()
        if module.path == FILE.path
        for name in module.params
    }
    needed = {name for name, default in FILE.params.items() if default is None}
    assert needed <= given <= FILE.params.keys()
